package translate

import (
	"fmt"
	"slices"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Plan is a valid execution with its graph and the catalog.
type Plan struct {
	wfe     *wfev1.WorkflowExecution
	graph   *Graph
	catalog Catalog
}

// NewPlan checks an execution against the catalog. The error is an *InvalidError that lists every problem found, in
// the order of the specification. The catalog needs only the actions that the execution names.
func NewPlan(wfe *wfev1.WorkflowExecution, catalog Catalog) (*Plan, error) {
	problems := checkName(wfe.Name)
	if n := len(wfe.Spec.Steps); n == 0 || n > MaxSteps {
		problems = append(problems, invalidf("", "steps", "there are %d steps; 1 to %d are allowed", n, MaxSteps))
		return nil, &InvalidError{Problems: problems}
	}
	graph, found := NewGraph(wfe.Spec.Steps)
	problems = append(problems, found...)
	p := &Plan{wfe: wfe, graph: graph, catalog: catalog}
	for i := range wfe.Spec.Steps {
		problems = append(problems, p.checkStep(&wfe.Spec.Steps[i])...)
	}
	if graph != nil {
		problems = append(problems, p.checkNodeIDs()...)
	}
	problems = append(problems, p.checkApprovals()...)
	if len(problems) > 0 {
		return nil, &InvalidError{Problems: problems}
	}
	return p, nil
}

// Graph returns the plan's graph.
func (p *Plan) Graph() *Graph { return p.graph }

// Actions returns the names of the actions that an execution uses, each once, in order of their first use.
func Actions(spec *wfev1.WorkflowExecutionSpec) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for i := range spec.Steps {
		add(spec.Steps[i].Action)
		if rollback := spec.Steps[i].Rollback; rollback != nil {
			add(rollback.Action)
		}
	}
	return names
}

func checkName(name string) []Problem {
	switch {
	case !isDNSLabel(name):
		return []Problem{{Field: "metadata.name", Reason: wfev1.ReasonInvalidSpec, Message: fmt.Sprintf("%q is not a DNS label", name)}}
	case len(name) > maxExecutionName:
		return []Problem{{Field: "metadata.name", Reason: wfev1.ReasonInvalidSpec, Message: fmt.Sprintf("%q is longer than %d characters", name, maxExecutionName)}}
	case strings.HasSuffix(name, wfev1.RollbackSuffix):
		return []Problem{{Field: "metadata.name", Reason: wfev1.ReasonInvalidSpec, Message: fmt.Sprintf("%q ends in %s, which is reserved for the rollback's Workflow", name, wfev1.RollbackSuffix)}}
	}
	return nil
}

func (p *Plan) checkStep(step *wfev1.Step) []Problem {
	var problems []Problem
	if !isName(step.Name, maxStepName) {
		problems = append(problems, invalidf(step.Name, "name", "a name is at most %d lower-case letters, digits and hyphens, and starts with a letter", maxStepName))
	}
	if reservedNames[step.Name] {
		problems = append(problems, invalidf(step.Name, "name", "%q is a reserved word of Argo's depends expressions; choose another name", step.Name))
	}
	switch {
	case step.Approval != nil && step.Action != "":
		problems = append(problems, invalidf(step.Name, "approval", "a step has either an action or an approval"))
	case step.Approval != nil:
		problems = append(problems, p.checkApprovalStep(step)...)
	default:
		call := actionCall{step: step, action: step.Action, parameters: step.Parameters}
		problems = append(problems, p.checkCall(call)...)
	}
	problems = append(problems, p.checkWhen(step)...)
	if rollback := step.Rollback; rollback != nil && step.Approval == nil {
		call := actionCall{step: step, path: "rollback.", action: rollback.Action, parameters: rollback.Parameters, ownOutputs: true}
		problems = append(problems, p.checkCall(call)...)
	}
	return problems
}

// checkApprovalStep refuses fields that have no effect on an approval, since it runs no pod.
func (p *Plan) checkApprovalStep(step *wfev1.Step) []Problem {
	var problems []Problem
	refused := []struct {
		field string
		set   bool
	}{
		{"parameters", len(step.Parameters) > 0},
		{"retry", step.Retry != nil},
		{"rollback", step.Rollback != nil},
		{"critical", !step.IsCritical()},
		{"timeoutSeconds", step.TimeoutSeconds != nil},
	}
	for _, r := range refused {
		if r.set {
			problems = append(problems, invalidf(step.Name, r.field, "an approval cannot have this field"))
		}
	}
	if sequence := forbiddenSequence(step.Approval.Message); sequence != "" {
		problems = append(problems, invalidf(step.Name, "approval.message", "the sequence %q is not allowed", sequence))
	}
	return problems
}

// checkApprovals refuses decisions on steps that are not approvals, and more approvals than spec.approvals can decide.
func (p *Plan) checkApprovals() []Problem {
	if p.graph == nil {
		return nil
	}
	var problems []Problem
	approvals := 0
	for i := range p.wfe.Spec.Steps {
		if p.wfe.Spec.Steps[i].Approval != nil {
			approvals++
		}
	}
	if approvals > MaxApprovals {
		problems = append(problems, invalidf("", "steps", "%d steps are approvals; at most %d are allowed, because spec.approvals holds no more decisions", approvals, MaxApprovals))
	}
	for _, approval := range p.wfe.Spec.Approvals {
		if i, ok := p.graph.Index(approval.Step); !ok || p.wfe.Spec.Steps[i].Approval == nil {
			problems = append(problems, invalidf("", "approvals", "there is no approval step %q", approval.Step))
		}
	}
	return problems
}

func (p *Plan) checkWhen(step *wfev1.Step) []Problem {
	when := step.When
	if when == nil {
		return nil
	}
	problems := prefixFields("when", p.checkReference(step, when.Step, when.Output, false))
	for _, value := range when.Values {
		if sequence := forbiddenSequence(value); sequence != "" {
			problems = append(problems, invalidf(step.Name, "when.values", "the sequence %q is not allowed", sequence))
		}
	}
	switch when.Operator {
	case wfev1.OperatorIn, wfev1.OperatorNotIn:
		if len(when.Values) == 0 {
			problems = append(problems, invalidf(step.Name, "when.values", "operator %s needs at least one value", when.Operator))
		}
		problems = append(problems, checkPhaseValues(step)...)
	case wfev1.OperatorExists, wfev1.OperatorDoesNotExist:
		if len(when.Values) > 0 {
			problems = append(problems, invalidf(step.Name, "when.values", "operator %s takes no values", when.Operator))
		}
		if when.Output == "" {
			problems = append(problems, invalidf(step.Name, "when.output", "operator %s needs an output", when.Operator))
		}
	default:
		problems = append(problems, invalidf(step.Name, "when.operator", "%q is not an operator", when.Operator))
	}
	return problems
}

// checkPhaseValues restricts the values of a condition on a phase to the phases in which an ancestor can end.
func checkPhaseValues(step *wfev1.Step) []Problem {
	if step.When.Output != "" {
		return nil
	}
	for _, value := range step.When.Values {
		if _, ok := argoStatuses[wfev1.StepPhase(value)]; !ok {
			return []Problem{invalidf(step.Name, "when.values", "%q is not a phase in which a step ends: use Completed, Failed or Skipped", value)}
		}
	}
	return nil
}

// checkReference checks a reference to another step's output, or to its phase if output is empty. The fields of the problems
// are relative to the reference.
func (p *Plan) checkReference(step *wfev1.Step, name, output string, self bool) []Problem {
	if p.graph == nil {
		return nil
	}
	source, known := p.graph.Index(name)
	if !known {
		return []Problem{invalidf(step.Name, "step", "there is no step %q", name)}
	}
	own, _ := p.graph.Index(step.Name)
	if (source != own || !self) && !p.graph.IsAncestor(source, own) {
		return []Problem{invalidf(step.Name, "step", "%q is not an ancestor: add it to dependsOn", name)}
	}
	action := p.catalog[p.wfe.Spec.Steps[source].Action]
	if output == "" || action == nil {
		if output != "" && p.wfe.Spec.Steps[source].Approval != nil {
			return []Problem{invalidf(step.Name, "output", "%q is an approval and has no outputs", name)}
		}
		return nil
	}
	if action.output(output) == nil {
		return []Problem{invalidf(step.Name, "output", "action %q has no output %q; it has %s", action.Name, output, listOutputs(action))}
	}
	return nil
}

// prefixFields makes the fields of problems relative to the parent of a field.
func prefixFields(field string, problems []Problem) []Problem {
	for i := range problems {
		problems[i].Field = field + "." + problems[i].Field
	}
	return problems
}

// checkNodeIDs refuses the rare pair of steps whose nodes have the same key in Argo: keys are 32-bit hashes.
func (p *Plan) checkNodeIDs() []Problem {
	var problems []Problem
	for _, workflow := range []string{p.wfe.Name, p.wfe.Name + wfev1.RollbackSuffix} {
		taken := make(map[uint32]string, len(p.wfe.Spec.Steps))
		for i := range p.wfe.Spec.Steps {
			name := p.wfe.Spec.Steps[i].Name
			id := hashOf(taskNodeName(workflow, name))
			if other, clash := taken[id]; clash {
				problems = append(problems, invalidf(name, "name", "Argo cannot distinguish this name from %q, because their hashes are equal; rename one of them", other))
			}
			taken[id] = name
		}
	}
	return problems
}

func listOutputs(a *Action) string {
	if len(a.Outputs) == 0 {
		return "none"
	}
	names := make([]string, len(a.Outputs))
	for i := range a.Outputs {
		names[i] = a.Outputs[i].Name
	}
	slices.Sort(names)
	return fmt.Sprintf("%q", names)
}
