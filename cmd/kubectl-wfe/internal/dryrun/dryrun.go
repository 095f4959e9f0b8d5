package dryrun

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// infix precedes the five characters that the API server appends to a generated name.
	infix = "-diff-"
	// maxPrefix leaves room for infix and the generated characters in an execution's name.
	maxPrefix = 54 - len(infix) - 5
	// ttlSeconds lets the controller delete a dry run that this program could not delete.
	ttlSeconds = 600
	// maxValue bounds the length of a value in the report.
	maxValue = 60
	// changed is the output that reports whether an action changes anything.
	changed = "changed"
	// previous is the prefix of the outputs that have the value which a parameter replaces.
	previous = "previous-"
)

// New returns the dry run of an execution in any state. It approves every approval, because a dry run changes nothing.
func New(wfe *wfev1.WorkflowExecution, by string) *wfev1.WorkflowExecution {
	prefix := wfe.Name
	if prefix == "" {
		prefix = strings.TrimRight(wfe.GenerateName, "-")
	}
	if len(prefix) > maxPrefix {
		prefix = strings.TrimRight(prefix[:maxPrefix], "-")
	}
	made := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + infix, Namespace: wfe.Namespace},
		Spec:       *wfe.Spec.DeepCopy(),
	}
	ttl := int32(ttlSeconds)
	made.Spec.DryRun, made.Spec.TTLSecondsAfterFinished = true, &ttl
	made.Spec.Cancel, made.Spec.Suspended, made.Spec.Approvals = wfev1.CancelNone, false, nil
	for i := range made.Spec.Steps {
		if made.Spec.Steps[i].Approval != nil {
			made.Spec.Approvals = append(made.Spec.Approvals, wfev1.Approval{
				Step: made.Spec.Steps[i].Name, Approved: true, By: by, Reason: "dry run",
			})
		}
	}
	return made
}

// Report lists what a dry run would change.
type Report struct {
	Lines []string
	// Changes is true when a step would change something.
	Changes bool
}

// Read reads the outputs of a finished dry run. The catalog declares which outputs are base64; the outputs of an action
// that it lacks are not decoded.
func Read(wfe *wfev1.WorkflowExecution, catalog translate.Catalog, style terminal.Style) Report {
	var r Report
	specs := make(map[string]*wfev1.Step, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		specs[wfe.Spec.Steps[i].Name] = &wfe.Spec.Steps[i]
	}
	reader := reader{wfe: wfe, catalog: catalog}
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		spec := specs[step.Name]
		if spec == nil || spec.Approval != nil {
			continue
		}
		symbol, color, text := verdict(step)
		r.Lines = append(r.Lines, style.Phase(color, fmt.Sprintf("%s %s", symbol, step.Name))+fmt.Sprintf("  %s  %s", step.Action, text))
		for _, detail := range reader.details(spec, step) {
			r.Lines = append(r.Lines, "    "+detail)
		}
		r.Changes = r.Changes || value(step, changed) == "true"
	}
	return r
}

// verdict returns the symbol, the color and the text of a step's line.
func verdict(step *wfev1.StepStatus) (symbol, color, text string) {
	switch step.Phase {
	case wfev1.StepSkipped:
		return "-", "Skipped", "would not run"
	case wfev1.StepCompleted:
		switch value(step, changed) {
		case "true":
			return "~", "AwaitingApproval", "would change"
		case "false":
			return "=", "Skipped", "would change nothing"
		}
		return "=", "Skipped", "makes no changes"
	case wfev1.StepFailed:
		return "✖", "Failed", strings.Join(strings.Fields(tree.FailureText(&wfev1.Failure{Reason: step.Reason, Message: step.Message})), " ")
	case wfev1.StepPending, wfev1.StepRunning, wfev1.StepAwaitingApproval, wfev1.StepCancelled:
	}
	return "✖", "Failed", "did not finish: " + string(step.Phase)
}

func value(step *wfev1.StepStatus, output string) string {
	for _, o := range step.Outputs {
		if o.Name == output {
			return o.Value
		}
	}
	return ""
}

// reader interprets the outputs and parameters of an execution.
type reader struct {
	wfe     *wfev1.WorkflowExecution
	catalog translate.Catalog
}

// details returns what a step would do: the value that each parameter replaces, and the other outputs.
func (r *reader) details(spec *wfev1.Step, step *wfev1.StepStatus) []string {
	var details []string
	for _, output := range step.Outputs {
		if output.Name == changed || output.Value == "" {
			continue
		}
		old := shorten(r.decode(step.Action, output))
		parameter, isPrevious := strings.CutPrefix(output.Name, previous)
		given, isGiven := r.given(spec, parameter)
		switch {
		case isPrevious && isGiven:
			if now := shorten(given); now != old {
				details = append(details, fmt.Sprintf("%s: %s → %s", parameter, old, now))
			}
		case isPrevious && r.declares(step.Action, parameter):
			// The step does not set the parameter, so its value stays.
		default:
			details = append(details, fmt.Sprintf("%s: %s", output.Name, old))
		}
	}
	return details
}

func (r *reader) declares(action, parameter string) bool {
	if a := r.catalog[action]; a != nil {
		for i := range a.Parameters {
			if a.Parameters[i].Name == parameter {
				return true
			}
		}
	}
	return false
}

// given returns the value that a step sets for a parameter. It resolves a reference from the other step's outputs.
func (r *reader) given(spec *wfev1.Step, parameter string) (string, bool) {
	for i := range spec.Parameters {
		p := &spec.Parameters[i]
		if p.Name != parameter {
			continue
		}
		if p.Value != nil {
			return *p.Value, true
		}
		for j := range r.wfe.Status.Steps {
			source := &r.wfe.Status.Steps[j]
			if source.Name != p.ValueFrom.Step {
				continue
			}
			for _, output := range source.Outputs {
				if output.Name == p.ValueFrom.Output {
					return r.decode(source.Action, output), true
				}
			}
		}
		return fmt.Sprintf("(%s of %s)", p.ValueFrom.Output, p.ValueFrom.Step), true
	}
	return "", false
}

func (r *reader) decode(action string, output wfev1.Output) string {
	a := r.catalog[action]
	if a == nil {
		return output.Value
	}
	for i := range a.Outputs {
		if a.Outputs[i].Name != output.Name || !a.Outputs[i].Base64 {
			continue
		}
		if decoded, err := base64.StdEncoding.DecodeString(output.Value); err == nil && utf8.Valid(decoded) {
			return string(decoded)
		}
	}
	return output.Value
}

// shorten returns a value as one short line.
func shorten(text string) string {
	return translate.Truncate(strings.Join(strings.Fields(text), " "), maxValue)
}
