package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// The actions of the suite's catalog.
const (
	// doIt has a required, an enumerated, an optional and an encoded parameter, and two outputs.
	doIt = "do-it"
	// undoIt has one required parameter.
	undoIt = "undo-it"
	// bold does not support dry runs.
	bold = "bold"
	// broken has an output without a default, so it is not an action.
	broken = "broken"
)

// templates are the objects of the catalog.
func templates() []*wfv1.ClusterWorkflowTemplate {
	dry := wfv1.Parameter{Name: translate.ParameterDryRun, Default: wfv1.AnyStringPtr("false")}
	step := wfv1.Parameter{Name: translate.ParameterStep, Default: wfv1.AnyStringPtr("")}
	required := wfv1.Parameter{Name: "object"}
	return []*wfv1.ClusterWorkflowTemplate{
		template(doIt, []wfv1.Parameter{
			required,
			{Name: "mode", Default: wfv1.AnyStringPtr("fast"), Enum: []wfv1.AnyString{"fast", "slow"}},
			{Name: "note", Default: wfv1.AnyStringPtr("")},
			{Name: "content", Default: wfv1.AnyStringPtr("")},
			dry, step,
		}, output("changed", ptr.To("")), output("previous", ptr.To(""))),
		template(undoIt, []wfv1.Parameter{required, dry}),
		template(bold, nil),
		template(broken, []wfv1.Parameter{dry}, output("changed", nil)),
	}
}

func template(action string, inputs []wfv1.Parameter, outputs ...wfv1.Parameter) *wfv1.ClusterWorkflowTemplate {
	return &wfv1.ClusterWorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{
			Name:        action,
			Labels:      map[string]string{wfev1.LabelAction: action},
			Annotations: map[string]string{wfev1.AnnotationBase64Parameters: base64Parameters(inputs)},
		},
		Spec: wfv1.WorkflowSpec{
			Entrypoint: action,
			Templates: []wfv1.Template{{
				Name:      action,
				Inputs:    wfv1.Inputs{Parameters: inputs},
				Outputs:   wfv1.Outputs{Parameters: outputs},
				Container: &corev1.Container{Image: "example.invalid/action:v1", Command: []string{"/action", action}},
			}},
		},
	}
}

func base64Parameters(inputs []wfv1.Parameter) string {
	for _, in := range inputs {
		if in.Name == "content" {
			return in.Name
		}
	}
	return ""
}

func output(name string, value *string) wfv1.Parameter {
	from := &wfv1.ValueFrom{Path: "/wfe/outputs/" + name}
	if value != nil {
		from.Default = wfv1.AnyStringPtr(*value)
	}
	return wfv1.Parameter{Name: name, ValueFrom: from}
}

func installCatalog() {
	GinkgoHelper()
	for _, t := range templates() {
		Expect(admin.Create(ctx, t)).To(Succeed())
	}
}

func catalogNames() []string {
	var names []string
	for _, t := range templates() {
		names = append(names, t.Name)
	}
	return names
}

// plannedWorkflow is the Workflow that the controller creates for an execution.
func plannedWorkflow(wfe *wfev1.WorkflowExecution) *wfv1.Workflow {
	GinkgoHelper()
	catalog := translate.Catalog{}
	for _, t := range templates() {
		if action, err := translate.NewAction("ClusterWorkflowTemplate", t.ObjectMeta, &t.Spec); err == nil {
			catalog[t.Name] = action
		}
	}
	plan, err := translate.NewPlan(wfe, catalog)
	Expect(err).NotTo(HaveOccurred())
	return plan.Workflow(translate.Options{ServiceAccountName: serviceAccount})
}

// execution is an execution whose target is a Deployment of its name.
func execution(name string, steps ...wfev1.Step) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Steps:  steps,
		},
	}
}

// step is a step of the action do-it.
func step(name string, dependsOn ...string) wfev1.Step {
	return wfev1.Step{Name: name, Action: doIt, DependsOn: dependsOn, Parameters: []wfev1.Parameter{value("object", "x")}}
}

func value(name, v string) wfev1.Parameter { return wfev1.Parameter{Name: name, Value: &v} }

// uncritical makes a step non-critical.
func uncritical(s wfev1.Step) wfev1.Step {
	s.Critical = ptr.To(false)
	return s
}

// retried adds retries to a step.
func retried(s wfev1.Step, limit int32) wfev1.Step {
	s.Retry = &wfev1.Retry{Limit: limit}
	return s
}

// bounded adds a timeout to a step.
func bounded(s wfev1.Step, seconds int32) wfev1.Step {
	s.TimeoutSeconds = &seconds
	return s
}
