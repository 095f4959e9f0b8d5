package translate

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Rollback is the Workflow that undoes an execution, and the status of its steps before any of them ran.
type Rollback struct {
	// Workflow is what Argo runs; nil when no undo can run.
	Workflow *wfv1.Workflow
	// Steps are the undos in reverse plan order. Those that cannot be translated have failed already, and those that come
	// after one of them that is critical are skipped; Steps keeps them as they are.
	Steps []wfev1.StepStatus
}

// NewRollback translates the rollback of an execution into a Workflow, by its recorded status: the rollback actions of the
// steps to undo, in reverse dependency order, in parallel where the graph allows, with the recorded outputs as values. It
// returns nil if no step is to be undone. The catalog needs only the actions that UndoActions returns. If an undo cannot be
// translated, only the undos that come after it do not run. The error is an *InvalidError of the graph.
func NewRollback(wfe *wfev1.WorkflowExecution, catalog Catalog, opts Options) (*Rollback, error) {
	graph, problems := NewGraph(wfe.Spec.Steps)
	if len(problems) > 0 {
		return nil, &InvalidError{Problems: problems}
	}
	undone := undoable(wfe, graph)
	if len(undone) == 0 {
		return nil, nil
	}
	p := &Plan{wfe: wfe, graph: graph, catalog: catalog}
	outputs := recordedOutputs(wfe.Status.Steps)
	rollback := &Rollback{Steps: undoSteps(wfe, undone)}
	steps := make(map[int]*wfev1.StepStatus, len(undone))
	ordered, failed := make([]int, 0, len(undone)), newBitset(len(wfe.Spec.Steps))
	for at, i := range undone {
		step := &wfe.Spec.Steps[i]
		steps[i] = &rollback.Steps[at]
		problems := p.checkUndo(step, outputs)
		if len(problems) > 0 {
			failUndo(steps[i], problems, len(undone))
			failed.add(i)
		}
		if len(problems) == 0 || isCriticalUndo(step.Rollback) { // the others run as if any other step had no undo
			ordered = append(ordered, i)
		}
	}
	for {
		order := p.newUndoOrder(ordered, failed)
		order.stop(steps)
		running := slices.DeleteFunc(slices.Clone(ordered), func(i int) bool { return !order.runs(i) })
		if len(running) == 0 {
			return rollback, nil
		}
		wf := p.buildRollback(order, outputs, opts)
		size := workflowSize(wf, 0)
		if size <= MaxWorkflowBytes {
			rollback.Workflow = wf
			return rollback, nil
		}
		largest := slices.MaxFunc(running, func(a, b int) int { return p.undoSize(a, outputs) - p.undoSize(b, outputs) })
		step := &wfe.Spec.Steps[largest]
		failUndo(steps[largest], []Problem{{Field: "rollback.parameters", Reason: wfev1.ReasonWorkflowTooLarge, Message: fmt.Sprintf(
			"with the recorded outputs the rollback's Workflow would have %d bytes, and at most %d are allowed", size, MaxWorkflowBytes)}}, len(undone))
		failed.add(largest)
		if !isCriticalUndo(step.Rollback) {
			ordered = slices.DeleteFunc(ordered, func(i int) bool { return i == largest })
		}
	}
}

// undoSize returns the size of the values that an undo passes on.
func (p *Plan) undoSize(i int, outputs map[outputKey]string) int {
	size := 0
	for _, parameter := range p.wfe.Spec.Steps[i].Rollback.Parameters {
		switch from := parameter.ValueFrom; {
		case from != nil:
			size += len(outputs[outputKey{from.Step, from.Output}])
		case parameter.Value != nil:
			size += len(*parameter.Value)
		}
	}
	return size
}

// failUndo ends an undo, one of a number, that cannot be translated.
func failUndo(step *wfev1.StepStatus, problems []Problem, undos int) {
	listed := make([]string, 0, len(problems))
	for _, problem := range problems {
		listed = append(listed, problem.Field+": "+problem.Message)
	}
	step.Phase, step.Reason = wfev1.StepFailed, problems[0].Reason
	step.Message = Truncate(strings.Join(listed, "; "), min(maxMessageBytes, maxMessagesBytes/undos))
}

// HasUndo reports whether a rollback would undo any step.
func HasUndo(wfe *wfev1.WorkflowExecution) bool {
	phases := phasesOf(wfe.Status.Steps)
	return slices.ContainsFunc(wfe.Spec.Steps, func(step wfev1.Step) bool { return isUndoable(&step, phases[step.Name]) })
}

func phasesOf(steps []wfev1.StepStatus) map[string]wfev1.StepPhase {
	phases := make(map[string]wfev1.StepPhase, len(steps))
	for i := range steps {
		phases[steps[i].Name] = steps[i].Phase
	}
	return phases
}

// InitialUndoSteps returns the status of the rollback's steps before any of them ran, in reverse plan order.
func InitialUndoSteps(wfe *wfev1.WorkflowExecution) []wfev1.StepStatus {
	graph, problems := NewGraph(wfe.Spec.Steps)
	if len(problems) > 0 {
		return nil
	}
	return undoSteps(wfe, undoable(wfe, graph))
}

func undoSteps(wfe *wfev1.WorkflowExecution, undone []int) []wfev1.StepStatus {
	steps := make([]wfev1.StepStatus, 0, len(undone))
	for _, i := range undone {
		step := &wfe.Spec.Steps[i]
		steps = append(steps, wfev1.StepStatus{Name: step.Name, Action: step.Rollback.Action, Phase: wfev1.StepPending})
	}
	return steps
}

// UndoActions returns the names of the actions that undo steps, and of the actions whose outputs those read.
func UndoActions(spec *wfev1.WorkflowExecutionSpec) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	actions := make(map[string]string, len(spec.Steps))
	for i := range spec.Steps {
		actions[spec.Steps[i].Name] = spec.Steps[i].Action
	}
	for i := range spec.Steps {
		undo := spec.Steps[i].Rollback
		if undo == nil {
			continue
		}
		add(undo.Action)
		for j := range undo.Parameters {
			if from := undo.Parameters[j].ValueFrom; from != nil {
				add(actions[from.Step]) // it declares whether its output is base64
			}
		}
	}
	return names
}

// isUndoable reports whether a step that ended in this phase is to be undone. A step that failed or was stopped may have done
// a part of its work: it is undone if its rollback has includeFailed.
func isUndoable(step *wfev1.Step, phase wfev1.StepPhase) bool {
	if step.Rollback == nil {
		return false
	}
	partly := phase == wfev1.StepFailed || phase == wfev1.StepCancelled
	return phase == wfev1.StepCompleted || partly && step.Rollback.IncludeFailed
}

// undoable lists the steps to undo, in reverse plan order.
func undoable(wfe *wfev1.WorkflowExecution, graph *Graph) []int {
	phases := phasesOf(wfe.Status.Steps)
	var steps []int
	for _, i := range slices.Backward(graph.Order()) {
		if step := &wfe.Spec.Steps[i]; isUndoable(step, phases[step.Name]) {
			steps = append(steps, i)
		}
	}
	return steps
}

type outputKey struct{ step, output string }

func recordedOutputs(steps []wfev1.StepStatus) map[outputKey]string {
	outputs := map[outputKey]string{}
	for i := range steps {
		for _, output := range steps[i].Outputs {
			outputs[outputKey{steps[i].Name, output.Name}] = output.Value
		}
	}
	return outputs
}

// checkUndo checks an undo against the current catalog, with the recorded outputs.
func (p *Plan) checkUndo(step *wfev1.Step, outputs map[outputKey]string) []Problem {
	undo := step.Rollback
	call := actionCall{step: step, path: "rollback.", action: undo.Action, parameters: undo.Parameters, ownOutputs: true}
	action := p.catalog[undo.Action]
	problems := p.checkCall(call)
	if len(problems) > 0 {
		return problems
	}
	for i := range undo.Parameters {
		parameter := &undo.Parameters[i]
		declared := action.parameter(parameter.Name)
		if parameter.ValueFrom == nil || declared == nil {
			continue
		}
		field := call.field(parameter)
		if source, ok := p.graph.Index(parameter.ValueFrom.Step); ok && declared.Base64 && p.catalog[p.wfe.Spec.Steps[source].Action] == nil {
			problems = append(problems, invalidf(step.Name, field, "action %q is no longer in the catalog, so it is unknown whether its output is base64", p.wfe.Spec.Steps[source].Action))
			continue
		}
		value, recorded := outputs[outputKey{parameter.ValueFrom.Step, parameter.ValueFrom.Output}]
		if !recorded {
			problems = append(problems, invalidf(step.Name, field, "output %q of step %q was not recorded", parameter.ValueFrom.Output, parameter.ValueFrom.Step))
			continue
		}
		if declared.Base64 && p.isBase64(parameter.ValueFrom) { // it is passed on as it is
			if _, err := base64.StdEncoding.DecodeString(value); err != nil {
				problems = append(problems, invalidf(step.Name, field, "output %q of step %q is declared as base64, but is not: %v", parameter.ValueFrom.Output, parameter.ValueFrom.Step, err))
				continue
			}
		}
		if fault := checkValue(declared, value); fault != "" {
			problems = append(problems, invalidf(step.Name, field, "%s", fault))
		}
	}
	return problems
}

func (p *Plan) buildRollback(order *undoOrder, outputs map[outputKey]string, opts Options) *wfv1.Workflow {
	templates := newTemplateSet()
	literal := func(from *wfev1.OutputReference, decodes bool) string {
		value := outputs[outputKey{from.Step, from.Output}]
		if p.encodes(from, decodes) {
			return base64.StdEncoding.EncodeToString([]byte(value))
		}
		return value
	}
	var tasks, relays []wfv1.DAGTask
	for _, i := range order.order {
		if !order.runs(i) {
			continue
		}
		step := &p.wfe.Spec.Steps[i]
		task := wfv1.DAGTask{Name: step.Name, Depends: order.depends(i)}
		if !order.isUndone.has(i) {
			task.When = "false" // the relay is skipped when the undos before it have ended: it runs no pod
			relays = append(relays, task)
			continue
		}
		action := p.catalog[step.Rollback.Action]
		task.Template = templates.action(action, step.Rollback.TimeoutSeconds, step.Rollback.Retry)
		task.Arguments.Parameters = p.buildArguments(step.Name, action, step.Rollback.Parameters, literal)
		tasks = append(tasks, task)
	}
	for i := range relays {
		relays[i].Template = templates.approval()
	}
	wf := p.newWorkflow(p.wfe.Name+wfev1.RollbackSuffix, wfev1.RoleRollback, opts)
	wf.Annotations = map[string]string{
		titleAnnotation: fmt.Sprintf("Undo %s: roll back %s %s", p.wfe.Name, p.wfe.Spec.Target.Kind, p.wfe.Spec.Target.Name),
		descriptionAnnotation: fmt.Sprintf("Undoes the steps of WorkflowExecution %s. See kubectl describe wfe %s -n %s.",
			p.wfe.Name, p.wfe.Name, p.wfe.Namespace),
	}
	wf.Spec.Templates = templates.withDAG(append(tasks, relays...))
	return wf
}

// LeftUndone lists the critical undos of a rollback that did not complete, each with its phase or its failure.
func LeftUndone(wfe *wfev1.WorkflowExecution) []string {
	critical := make(map[string]bool, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		if undo := wfe.Spec.Steps[i].Rollback; undo != nil {
			critical[wfe.Spec.Steps[i].Name] = isCriticalUndo(undo)
		}
	}
	var left []string
	for i := range wfe.Status.RollbackSteps {
		undo := &wfe.Status.RollbackSteps[i]
		if undo.Phase == wfev1.StepCompleted || !critical[undo.Name] {
			continue
		}
		what := string(undo.Phase)
		if undo.Reason != "" {
			what = strings.TrimSuffix(fmt.Sprintf("%s: %s", undo.Reason, undo.Message), ": ")
		}
		left = append(left, fmt.Sprintf("%s (%s)", undo.Name, what))
	}
	return left
}
