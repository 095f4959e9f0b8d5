package translate

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// dagTemplate and approvalTemplate are the names of the templates that are not actions.
	dagTemplate      = "main"
	approvalTemplate = "approval"

	instanceIDLabel       = "workflows.argoproj.io/controller-instanceid"
	titleAnnotation       = "workflows.argoproj.io/title"
	descriptionAnnotation = "workflows.argoproj.io/description"

	// argoDeadlineSeconds is Argo's deadline on the Workflows, 90 days. The controller enforces the timeout, which excludes
	// approvals. The deadline only prevents a shorter one from Argo's workflowDefaults.
	argoDeadlineSeconds = 90 * 24 * 3600
	// argoTTLSeconds is Argo's time to live of the Workflows, 20 years: the controller deletes them with their executions.
	argoTTLSeconds = 20 * 365 * 24 * 3600
	// podRetention is how long the pods of an ended Workflow are kept, so that their logs can be read.
	podRetention = "24h"
)

// Options are the settings of an installation that shape its Workflows.
type Options struct {
	// ServiceAccountName is the service account of steps if the execution names none.
	ServiceAccountName string
	// InstanceID is the instance ID of the Argo controller that runs the Workflows; empty for none.
	InstanceID string
}

// Workflow translates the plan into its main Workflow: one DAG template, and one template for each distinct action,
// timeout and retry. Time is linear in steps, dependencies and the size of the parameters.
func (p *Plan) Workflow(opts Options) *wfv1.Workflow {
	templates := newTemplateSet()
	tasks := make([]wfv1.DAGTask, 0, len(p.wfe.Spec.Steps))
	for _, i := range p.graph.Order() {
		tasks = append(tasks, p.buildTask(i, templates))
	}
	wf := p.newWorkflow(p.wfe.Name, wfev1.RoleMain, opts)
	wf.Annotations = map[string]string{
		// The Argo UI lists the title instead of the name, and truncates it after about twenty characters.
		titleAnnotation: fmt.Sprintf("%s: remediate %s %s", p.wfe.Name, p.wfe.Spec.Target.Kind, p.wfe.Spec.Target.Name),
		descriptionAnnotation: fmt.Sprintf("Steps of WorkflowExecution %s. See kubectl describe wfe %s -n %s.",
			p.wfe.Name, p.wfe.Name, p.wfe.Namespace),
	}
	wf.Spec.Templates = templates.withDAG(tasks)
	return wf
}

// Labels returns the labels of an execution's Workflow: those that the controller selects by, and Argo's instance ID.
func Labels(wfe *wfev1.WorkflowExecution, role string, opts Options) map[string]string {
	labels := map[string]string{wfev1.LabelName: wfe.Name, wfev1.LabelRole: role}
	if wfe.Spec.DryRun {
		labels[wfev1.LabelDryRun] = "true"
	}
	if opts.InstanceID != "" {
		labels[instanceIDLabel] = opts.InstanceID
	}
	return labels
}

// newWorkflow returns the common parts of the main Workflow and the rollback's.
func (p *Plan) newWorkflow(name, role string, opts Options) *wfv1.Workflow {
	owner := *metav1.NewControllerRef(p.wfe, wfev1.GroupVersion.WithKind(wfev1.Kind))
	serviceAccount := p.wfe.Spec.ServiceAccountName
	if serviceAccount == "" {
		serviceAccount = opts.ServiceAccountName
	}
	deadline := int64(argoDeadlineSeconds)
	keep := int32(argoTTLSeconds)
	var parallelism *int64
	if most := p.wfe.Spec.Parallelism; most != nil {
		parallelism = ptr.To(int64(*most))
	}
	return &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: wfv1.SchemeGroupVersion.String(), Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: p.wfe.Namespace, Labels: Labels(p.wfe, role, opts),
			OwnerReferences: []metav1.OwnerReference{owner}, Finalizers: []string{wfev1.FinalizerObserved},
		},
		Spec: wfv1.WorkflowSpec{
			Entrypoint:            dagTemplate,
			ServiceAccountName:    serviceAccount,
			Parallelism:           parallelism,
			SecurityContext:       restrictedPod(),
			ActiveDeadlineSeconds: &deadline,
			PodGC:                 &wfv1.PodGC{Strategy: wfv1.PodGCOnWorkflowCompletion, DeleteDelayDuration: podRetention},
			TTLStrategy:           &wfv1.TTLStrategy{SecondsAfterCompletion: &keep, SecondsAfterSuccess: &keep, SecondsAfterFailure: &keep},
		},
	}
}

func (p *Plan) buildTask(i int, templates *templateSet) wfv1.DAGTask {
	step := &p.wfe.Spec.Steps[i]
	task := wfv1.DAGTask{Name: step.Name, Depends: p.buildDepends(i), When: p.buildTaskWhen(step)}
	if step.Approval != nil {
		task.Template = templates.approval()
		if step.Approval.Message != "" {
			task.Arguments.Parameters = []wfv1.Parameter{{Name: "message", Value: wfv1.AnyStringPtr(step.Approval.Message)}}
		}
		return task
	}
	action := p.catalog[step.Action]
	task.Template = templates.action(action, step.TimeoutSeconds, step.Retry)
	task.Arguments.Parameters = p.buildArguments(step.Name, action, step.Parameters, p.buildReference)
	return task
}

// buildArguments lists the parameters of a call in the action's order: those that are given, and those that the translator
// sets. The others keep their defaults, which are in the action's template.
func (p *Plan) buildArguments(step string, action *Action, given []wfev1.Parameter, reference func(*wfev1.OutputReference, bool) string) []wfv1.Parameter {
	values := map[string]*wfev1.Parameter{}
	for i := range given {
		values[given[i].Name] = &given[i]
	}
	arguments := make([]wfv1.Parameter, 0, len(action.Parameters))
	for i := range action.Parameters {
		declared := &action.Parameters[i]
		var value string
		switch parameter := values[declared.Name]; {
		case declared.Name == ParameterStep:
			value = step
		case declared.Name == ParameterDryRun:
			value = strconv.FormatBool(p.wfe.Spec.DryRun)
		case parameter == nil:
			continue
		case parameter.ValueFrom != nil:
			value = reference(parameter.ValueFrom, declared.Base64)
		case declared.Base64:
			value = base64.StdEncoding.EncodeToString([]byte(*parameter.Value))
		default:
			value = *parameter.Value
		}
		arguments = append(arguments, wfv1.Parameter{Name: declared.Name, Value: ptr.To(wfv1.AnyString(value))})
	}
	return arguments
}

// buildDepends returns the expression that waits until each dependency has succeeded or was skipped. A dependency that is not
// critical may also have failed, unless the step reads its output: Argo waits indefinitely for an output that is missing
// (ErrRequeue in resolveDependencyReferences). Therefore the expression has every step whose output is read, also a distant
// ancestor.
func (p *Plan) buildDepends(i int) string {
	step := &p.wfe.Spec.Steps[i]
	read := readSteps(step)
	parents := p.graph.Parents(i)
	var text strings.Builder
	text.Grow(60 * (len(parents) + len(read))) // enough for names of 16 characters
	for _, parent := range parents {
		source := &p.wfe.Spec.Steps[parent]
		results := resultsOfSuccess
		if !source.IsCritical() && !slices.Contains(read, source.Name) {
			results = resultsOfEnd
		}
		writeDepends(&text, source.Name, results)
	}
	for _, name := range read {
		if distant, _ := p.graph.Index(name); !slices.Contains(parents, distant) {
			writeDepends(&text, name, resultsOfSuccess)
		}
	}
	return text.String()
}

// The results of a step that let the steps that depend on it run.
var (
	resultsOfSuccess = []string{".Succeeded", ".Skipped"}
	resultsOfEnd     = []string{".Succeeded", ".Skipped", ".Failed", ".Errored"}
)

// writeDepends adds to a depends expression that a step has one of these results.
func writeDepends(text *strings.Builder, step string, results []string) {
	if text.Len() > 0 {
		text.WriteString(" && ")
	}
	for i, result := range results {
		separator := " || "
		if i == 0 {
			separator = "("
		}
		text.WriteString(separator)
		text.WriteString(step)
		text.WriteString(result)
	}
	text.WriteString(")")
}

// readSteps returns the names of the steps whose outputs a step reads, sorted.
func readSteps(step *wfev1.Step) []string {
	var read []string
	for i := range step.Parameters {
		if from := step.Parameters[i].ValueFrom; from != nil {
			read = append(read, from.Step)
		}
	}
	if step.When != nil && step.When.Output != "" {
		read = append(read, step.When.Step)
	}
	slices.Sort(read)
	return slices.Compact(read)
}
