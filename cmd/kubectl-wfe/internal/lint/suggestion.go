package lint

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// withSuggestion adds a similar name to the message of a problem with an unknown name.
func (c *Checker) withSuggestion(wfe *wfev1.WorkflowExecution, p translate.Problem) string {
	for _, reference := range c.references(wfe, p) {
		if slices.Contains(reference.candidates, reference.name) {
			continue
		}
		if similar := nearest(reference.name, reference.candidates); similar != "" {
			return didYouMean(p.Message, similar)
		}
	}
	return p.Message
}

func didYouMean(message, name string) string {
	return fmt.Sprintf("%s; did you mean %q?", message, name)
}

// reference is a name in a specification, and the names that exist.
type reference struct {
	name       string
	candidates []string
}

// references returns the names in the field of a problem.
func (c *Checker) references(wfe *wfev1.WorkflowExecution, p translate.Problem) []reference {
	if p.Field == "approvals" {
		return approvalReferences(wfe, p.Message)
	}
	i := slices.IndexFunc(wfe.Spec.Steps, func(step wfev1.Step) bool { return step.Name == p.Step })
	if i < 0 {
		return nil
	}
	step := &wfe.Spec.Steps[i]
	steps := stepNames(wfe, func(s *wfev1.Step) bool { return s.Name != step.Name })
	action, parameters := step.Action, step.Parameters
	path, isRollback := strings.CutPrefix(p.Field, "rollback.")
	if isRollback && step.Rollback != nil {
		action, parameters = step.Rollback.Action, step.Rollback.Parameters
		steps = append(steps, step.Name)
	}
	parameter, rest, isParameter := strings.Cut(strings.TrimPrefix(path, "parameters["), "]")
	switch {
	case path == "action":
		return []reference{{action, slices.Sorted(maps.Keys(c.catalog))}}
	case path == "dependsOn":
		return quotedReferences(step.DependsOn, p.Message, steps)
	case path == "when.step" && step.When != nil:
		return []reference{{step.When.Step, steps}}
	case path == "when.output" && step.When != nil:
		return []reference{{step.When.Output, c.outputs(wfe, step.When.Step)}}
	case !isParameter || !strings.HasPrefix(path, "parameters["):
		return nil
	case rest == "":
		return []reference{{parameter, c.parameters(action)}}
	}
	for i := range parameters {
		from := parameters[i].ValueFrom
		switch {
		case parameters[i].Name != parameter || from == nil:
		case rest == ".valueFrom.step":
			return []reference{{from.Step, steps}}
		case rest == ".valueFrom.output":
			return []reference{{from.Output, c.outputs(wfe, from.Step)}}
		}
	}
	return nil
}

// quotedReferences returns the names that a message quotes.
func quotedReferences(names []string, message string, candidates []string) []reference {
	var found []reference
	for _, name := range names {
		if strings.Contains(message, strconv.Quote(name)) {
			found = append(found, reference{name, candidates})
		}
	}
	return found
}

func approvalReferences(wfe *wfev1.WorkflowExecution, message string) []reference {
	names := make([]string, 0, len(wfe.Spec.Approvals))
	for _, approval := range wfe.Spec.Approvals {
		names = append(names, approval.Step)
	}
	return quotedReferences(names, message, stepNames(wfe, func(s *wfev1.Step) bool { return s.Approval != nil }))
}

func stepNames(wfe *wfev1.WorkflowExecution, matches func(*wfev1.Step) bool) []string {
	var names []string
	for i := range wfe.Spec.Steps {
		if matches(&wfe.Spec.Steps[i]) {
			names = append(names, wfe.Spec.Steps[i].Name)
		}
	}
	return names
}

func (c *Checker) parameters(action string) []string {
	var names []string
	if a := c.catalog[action]; a != nil {
		for i := range a.Parameters {
			names = append(names, a.Parameters[i].Name)
		}
	}
	return names
}

func (c *Checker) outputs(wfe *wfev1.WorkflowExecution, step string) []string {
	var names []string
	for i := range wfe.Spec.Steps {
		if a := c.catalog[wfe.Spec.Steps[i].Action]; wfe.Spec.Steps[i].Name == step && a != nil {
			for j := range a.Outputs {
				names = append(names, a.Outputs[j].Name)
			}
		}
	}
	return names
}

// unknownField returns the message for a field that the schema does not have.
func (s *schema) unknownField(path string) string {
	const message = "unknown field"
	all := segments(path)
	if len(all) == 0 {
		return message
	}
	at := s.structural
	for _, segment := range all[:len(all)-1] {
		if at = childSchema(at, segment); at == nil {
			return message
		}
	}
	if similar := nearest(all[len(all)-1], slices.Sorted(maps.Keys(at.Properties))); similar != "" {
		return didYouMean(message, similar)
	}
	return message
}

func childSchema(at *structuralschema.Structural, segment string) *structuralschema.Structural {
	if strings.HasPrefix(segment, "[") {
		return at.Items
	}
	if property, known := at.Properties[segment]; known {
		return &property
	}
	return nil
}
