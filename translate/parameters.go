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

// actionUse is one place where a step calls an action: the step itself, or its rollback.
type actionUse struct {
	step       *wfev1.Step
	path       string
	action     string
	parameters []wfev1.Parameter
	// ownOutputs allows references to the step itself, which its rollback may make.
	ownOutputs bool
}

// field is the path of a parameter.
func (u *actionUse) field(parameter *wfev1.Parameter) string {
	return u.path + "parameters[" + parameter.Name + "]"
}

// checkUse checks the parameters of one call against the action's declaration.
func (p *Plan) checkUse(use actionUse) []Problem {
	action := p.catalog[use.action]
	if action == nil {
		return []Problem{{
			Step: use.step.Name, Field: use.path + "action", Reason: wfev1.ReasonUnknownAction,
			Message: fmt.Sprintf("action %q is not in the catalog", use.action),
		}}
	}
	var problems []Problem
	if p.wfe.Spec.DryRun && action.parameter(ParameterDryRun) == nil {
		problems = append(problems, invalidf(use.step.Name, use.path+"action", "action %q has no parameter %q, so it cannot be run dry", use.action, ParameterDryRun))
	}
	given := map[string]bool{} // of no fixed size: it stays on the stack while it is small
	for i := range use.parameters {
		parameter := &use.parameters[i]
		if given[parameter.Name] {
			problems = append(problems, invalidf(use.step.Name, use.field(parameter), "the parameter is given twice"))
		}
		given[parameter.Name] = true
		problems = append(problems, p.checkParameter(use, action, parameter)...)
	}
	for i := range action.Parameters {
		declared := &action.Parameters[i]
		if declared.Default == nil && !given[declared.Name] && !isInjected(declared.Name) {
			problems = append(problems, invalidf(use.step.Name, use.path+"parameters", "action %q requires parameter %q", use.action, declared.Name))
		}
	}
	return problems
}

// isInjected reports whether the translator sets the parameter itself.
func isInjected(name string) bool { return name == ParameterStep || name == ParameterDryRun }

func (p *Plan) checkParameter(use actionUse, action *Action, parameter *wfev1.Parameter) []Problem {
	if isInjected(parameter.Name) {
		return []Problem{invalidf(use.step.Name, use.field(parameter), "the controller sets this parameter")}
	}
	declared := action.parameter(parameter.Name)
	if declared == nil {
		return []Problem{invalidf(use.step.Name, use.field(parameter), "action %q has no such parameter; it has %s", action.Name, listParameters(action))}
	}
	if (parameter.Value == nil) == (parameter.ValueFrom == nil) {
		return []Problem{invalidf(use.step.Name, use.field(parameter), "a parameter has either a value or a valueFrom")}
	}
	if from := parameter.ValueFrom; from != nil {
		if from.Output == "" {
			return []Problem{invalidf(use.step.Name, use.field(parameter)+".valueFrom.output", "name the output")}
		}
		if problems := p.checkReference(use.step, from.Step, from.Output, use.ownOutputs); len(problems) > 0 {
			return within(use.field(parameter)+".valueFrom", problems)
		}
		return p.checkEncoding(use, declared, parameter)
	}
	if fault := faultOf(declared, *parameter.Value); fault != "" {
		return []Problem{invalidf(use.step.Name, use.field(parameter), "%s", fault)}
	}
	return nil
}

// checkEncoding refuses an encoded output for a parameter that does not decode. The other way round the translator
// encodes.
func (p *Plan) checkEncoding(use actionUse, declared *ActionParameter, parameter *wfev1.Parameter) []Problem {
	if p.graph == nil || declared.Base64 {
		return nil
	}
	from := parameter.ValueFrom
	source, _ := p.graph.Index(from.Step)
	action := p.catalog[p.wfe.Spec.Steps[source].Action]
	if action == nil || !action.output(from.Output).Base64 {
		return nil
	}
	return []Problem{invalidf(use.step.Name, use.field(parameter), "output %q of step %q is base64, and the parameter does not decode", from.Output, from.Step)}
}

// faultOf says what is wrong with a value; empty for nothing.
func faultOf(declared *ActionParameter, value string) string {
	if len(value) > maxValueBytes {
		return fmt.Sprintf("the value has %d bytes; at most %d are allowed", len(value), maxValueBytes)
	}
	if len(declared.Enum) > 0 && !slices.Contains(declared.Enum, value) {
		return fmt.Sprintf("%q is not one of %s", Truncate(value, 64), strings.Join(declared.Enum, ", "))
	}
	if declared.Base64 {
		return ""
	}
	if !isPrintableASCII(value) && !json.Valid([]byte(strconv.Quote(value))) { // how Argo puts a value into a template (util/template simpleReplaceStrict)
		return "the value has a control or unprintable character that Argo cannot carry: use a parameter that the catalog declares as base64"
	}
	if sequence := forbiddenSequence(value); sequence != "" {
		return fmt.Sprintf("the sequence %q is not allowed in a value, since it would be expanded on its way to the action", sequence)
	}
	if sequence := garbledSequence(value); sequence != "" {
		return fmt.Sprintf("the sequence %q is not allowed in a value, since the kubelet would not hand it on as it is: use a parameter that the catalog declares as base64", sequence)
	}
	return ""
}

// isPrintableASCII reports whether quoting a value needs no escape that JSON does not have, which is so for most.
func isPrintableASCII(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
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
