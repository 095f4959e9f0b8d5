package retry

import (
	"encoding/base64"
	"fmt"
	"slices"
	"unicode/utf8"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// selection records which steps are kept and which are left out.
type selection struct {
	wfe      *wfev1.WorkflowExecution
	catalog  translate.Catalog
	recorded map[string]*wfev1.StepStatus
	undos    map[string]*wfev1.StepStatus
	// removed are the steps that are left out, with the phase that conditions on them use.
	removed map[string]wfev1.StepPhase
	// kept are the positions of the steps that run, and held those of them whose condition is already true.
	kept []int
	held map[int]bool
}

func newSelection(wfe *wfev1.WorkflowExecution, catalog translate.Catalog) *selection {
	return &selection{
		wfe: wfe, catalog: catalog,
		recorded: index(wfe.Status.Steps), undos: index(wfe.Status.RollbackSteps),
		removed: map[string]wfev1.StepPhase{}, held: map[int]bool{},
	}
}

// decide leaves out a step when it is done and none of its dependencies runs again, or when its condition refers to a
// step that is left out and is false. The caller passes the steps in plan order.
func (s *selection) decide(i int, graph *translate.Graph) error {
	step := &s.wfe.Spec.Steps[i]
	rerun := slices.ContainsFunc(graph.Parents(i), func(parent int) bool { return !s.isRemoved(s.wfe.Spec.Steps[parent].Name) })
	if seen := s.recorded[step.Name]; !rerun && isDone(seen, s.undos[step.Name]) {
		s.removed[step.Name] = seen.Phase
		return nil
	}
	if step.When != nil && s.isRemoved(step.When.Step) {
		holds, err := s.holds(step.When)
		if err != nil {
			return fmt.Errorf("step %q: when: %w", step.Name, err)
		}
		if !holds {
			s.removed[step.Name] = wfev1.StepSkipped
			return nil
		}
		s.held[i] = true
	}
	s.kept = append(s.kept, i)
	return nil
}

func (s *selection) isRemoved(step string) bool {
	_, removed := s.removed[step]
	return removed
}

// holds evaluates a condition on a step that is left out.
func (s *selection) holds(when *wfev1.When) (bool, error) {
	value := string(s.removed[when.Step])
	if when.Output != "" {
		var err error
		if value, err = s.output(when.Step, when.Output); err != nil {
			return false, err
		}
	}
	switch when.Operator {
	case wfev1.OperatorIn:
		return slices.Contains(when.Values, value), nil
	case wfev1.OperatorNotIn:
		return !slices.Contains(when.Values, value), nil
	case wfev1.OperatorExists:
		return value != "", nil
	case wfev1.OperatorDoesNotExist:
		return value == "", nil
	}
	return false, fmt.Errorf("%q is not an operator", when.Operator)
}

// output returns the recorded output of a step. A skipped step has the default of its action.
func (s *selection) output(step, output string) (string, error) {
	if s.removed[step] == wfev1.StepSkipped {
		declared, err := s.declared(step, output)
		if err != nil {
			return "", err
		}
		return declared.Default, nil
	}
	if seen := s.recorded[step]; seen != nil {
		for _, o := range seen.Outputs {
			if o.Name == output {
				return o.Value, nil
			}
		}
	}
	return "", fmt.Errorf("output %q of step %q was not recorded", output, step)
}

// declared returns the catalog's declaration of an output.
func (s *selection) declared(step, output string) (*translate.ActionOutput, error) {
	name := ""
	for i := range s.wfe.Spec.Steps {
		if s.wfe.Spec.Steps[i].Name == step {
			name = s.wfe.Spec.Steps[i].Action
		}
	}
	action := s.catalog[name]
	if action == nil {
		return nil, fmt.Errorf("action %q of step %q is no longer in the catalog, so its output %q cannot be read", name, step, output)
	}
	for i := range action.Outputs {
		if action.Outputs[i].Name == output {
			return &action.Outputs[i], nil
		}
	}
	return nil, fmt.Errorf("action %q of step %q no longer has output %q", name, step, output)
}

// steps returns the steps that run, in the order of the old specification.
func (s *selection) steps() ([]wfev1.Step, error) {
	slices.Sort(s.kept)
	steps := make([]wfev1.Step, 0, len(s.kept))
	for _, i := range s.kept {
		step := s.wfe.Spec.Steps[i].DeepCopy()
		step.DependsOn = dropRemoved(step.DependsOn, s.removed)
		if s.held[i] {
			step.When = nil
		}
		if err := s.fill(step.Parameters); err != nil {
			return nil, fmt.Errorf("step %q: %w", step.Name, err)
		}
		if step.Rollback != nil {
			if err := s.fill(step.Rollback.Parameters); err != nil {
				return nil, fmt.Errorf("step %q: rollback: %w", step.Name, err)
			}
		}
		steps = append(steps, *step)
	}
	return steps, nil
}

// fill replaces references to steps that are left out with their outputs. It decodes a base64 output, because the
// translator encodes the value again when the parameter is base64.
func (s *selection) fill(parameters []wfev1.Parameter) error {
	for i := range parameters {
		from := parameters[i].ValueFrom
		if from == nil || !s.isRemoved(from.Step) {
			continue
		}
		value, err := s.output(from.Step, from.Output)
		if err != nil {
			return fmt.Errorf("parameter %q: %w", parameters[i].Name, err)
		}
		declared, err := s.declared(from.Step, from.Output)
		if err != nil {
			return fmt.Errorf("parameter %q: %w", parameters[i].Name, err)
		}
		if declared.Base64 {
			decoded, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return fmt.Errorf("parameter %q: output %q of step %q is not valid base64: %w", parameters[i].Name, from.Output, from.Step, err)
			}
			if !utf8.Valid(decoded) {
				return fmt.Errorf("parameter %q: output %q of step %q is not UTF-8 text, so it cannot be a value", parameters[i].Name, from.Output, from.Step)
			}
			value = string(decoded)
		}
		parameters[i].Value, parameters[i].ValueFrom = &value, nil
	}
	return nil
}
