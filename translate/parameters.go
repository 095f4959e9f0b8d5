package translate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxValueBytes bounds a parameter's value.
const maxValueBytes = 64 << 10

// actionCall is one place where a step calls an action: the step itself, or its rollback.
type actionCall struct {
	step       *wfev1.Step
	path       string
	action     string
	parameters []wfev1.Parameter
	// ownOutputs allows references to the step itself, for its rollback.
	ownOutputs bool
}

// field returns the path of a parameter.
func (c *actionCall) field(parameter *wfev1.Parameter) string {
	return c.path + "parameters[" + parameter.Name + "]"
}

// checkCall checks the parameters of one call against the action's declaration.
func (p *Plan) checkCall(call actionCall) []Problem {
	action := p.catalog[call.action]
	if action == nil {
		return []Problem{{
			Step: call.step.Name, Field: call.path + "action", Reason: wfev1.ReasonUnknownAction,
			Message: fmt.Sprintf("action %q is not in the catalog", call.action),
		}}
	}
	var problems []Problem
	if p.wfe.Spec.DryRun && action.parameter(ParameterDryRun) == nil {
		problems = append(problems, invalidf(call.step.Name, call.path+"action", "action %q has no parameter %q, so it does not support dry runs", call.action, ParameterDryRun))
	}
	given := map[string]bool{}
	for i := range call.parameters {
		parameter := &call.parameters[i]
		if given[parameter.Name] {
			problems = append(problems, invalidf(call.step.Name, call.field(parameter), "the parameter is given twice"))
		}
		given[parameter.Name] = true
		problems = append(problems, p.checkParameter(call, action, parameter)...)
	}
	for i := range action.Parameters {
		declared := &action.Parameters[i]
		if declared.Default == nil && !given[declared.Name] && !isInjected(declared.Name) {
			problems = append(problems, invalidf(call.step.Name, call.path+"parameters", "action %q requires parameter %q", call.action, declared.Name))
		}
	}
	return problems
}

// isInjected reports whether the translator sets the parameter itself.
func isInjected(name string) bool { return name == ParameterStep || name == ParameterDryRun }

func (p *Plan) checkParameter(call actionCall, action *Action, parameter *wfev1.Parameter) []Problem {
	if isInjected(parameter.Name) {
		return []Problem{invalidf(call.step.Name, call.field(parameter), "the controller sets this parameter")}
	}
	declared := action.parameter(parameter.Name)
	if declared == nil {
		return []Problem{invalidf(call.step.Name, call.field(parameter), "action %q has no such parameter; it has %s", action.Name, listParameters(action))}
	}
	if (parameter.Value == nil) == (parameter.ValueFrom == nil) {
		return []Problem{invalidf(call.step.Name, call.field(parameter), "a parameter has either a value or a valueFrom")}
	}
	if from := parameter.ValueFrom; from != nil {
		if from.Output == "" {
			return []Problem{invalidf(call.step.Name, call.field(parameter)+".valueFrom.output", "the name of the output is required")}
		}
		if problems := p.checkReference(call.step, from.Step, from.Output, call.ownOutputs); len(problems) > 0 {
			return prefixFields(call.field(parameter)+".valueFrom", problems)
		}
		return p.checkEncoding(call, declared, parameter)
	}
	if fault := checkValue(declared, *parameter.Value); fault != "" {
		return []Problem{invalidf(call.step.Name, call.field(parameter), "%s", fault)}
	}
	return nil
}

// checkEncoding refuses a base64 output for a parameter that is not base64. In the opposite case the translator encodes.
func (p *Plan) checkEncoding(call actionCall, declared *ActionParameter, parameter *wfev1.Parameter) []Problem {
	if p.graph == nil || declared.Base64 {
		return nil
	}
	from := parameter.ValueFrom
	source, _ := p.graph.Index(from.Step)
	action := p.catalog[p.wfe.Spec.Steps[source].Action]
	if action == nil || !action.output(from.Output).Base64 {
		return nil
	}
	return []Problem{invalidf(call.step.Name, call.field(parameter), "output %q of step %q is base64, and the action does not decode this parameter", from.Output, from.Step)}
}

// checkValue returns the fault of a value, empty if it has none.
func checkValue(declared *ActionParameter, value string) string {
	if len(value) > maxValueBytes {
		return fmt.Sprintf("the value has %d bytes; at most %d are allowed", len(value), maxValueBytes)
	}
	if len(declared.Enum) > 0 && !slices.Contains(declared.Enum, value) {
		return fmt.Sprintf("%q is not one of %s", Truncate(value, 64), strings.Join(declared.Enum, ", "))
	}
	if declared.Base64 {
		return ""
	}
	special := strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
	if special && !json.Valid([]byte(strconv.Quote(value))) { // how Argo puts a value into a template (util/template simpleReplaceStrict)
		return "the value has a control or unprintable character that Argo cannot carry: use a parameter that the catalog declares as base64"
	}
	if sequence := forbiddenSequence(value); sequence != "" {
		return fmt.Sprintf("the sequence %q is not allowed in a value, since it would be expanded on its way to the action", sequence)
	}
	if sequence := corruptedSequence(value); sequence != "" {
		return fmt.Sprintf("the sequence %q is not allowed in a value, since the kubelet would change it: use a parameter that the catalog declares as base64", sequence)
	}
	return ""
}

func listParameters(a *Action) string {
	var names []string
	for i := range a.Parameters {
		if name := a.Parameters[i].Name; !isInjected(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
