package dryrun

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/paint"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// infix ends the generated name but for the five characters that the API server adds.
	infix = "-diff-"
	// maxPrefix leaves room for infix and those characters within an execution's name.
	maxPrefix = 54 - len(infix) - 5
	// keepSeconds is when the controller deletes a dry run that was left behind.
	keepSeconds = 600
	// maxShown bounds the values that are shown.
	maxShown = 60
	// changed is the output by which an action tells whether it changes something.
	changed = "changed"
	// previous begins the name of the output that tells what a parameter replaces.
	previous = "previous-"
)

// New is the dry run of an execution, whatever state that is in. Approvals are given, for nothing happens.
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
	keep := int32(keepSeconds)
	made.Spec.DryRun, made.Spec.TTLSecondsAfterFinished = true, &keep
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

// Report is what a dry run found.
type Report struct {
	Lines []string
	// Changes is whether a step would change something.
	Changes bool
}

// Read reads the outputs of a dry run that has ended. The catalog says which outputs are encoded; an action that is not
// in it is shown as it is.
func Read(wfe *wfev1.WorkflowExecution, catalog translate.Catalog, painter paint.Painter) Report {
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
		mark, colour, says := verdict(step)
		r.Lines = append(r.Lines, painter.Phase(colour, fmt.Sprintf("%s %s", mark, step.Name))+fmt.Sprintf("  %s  %s", step.Action, says))
		for _, detail := range reader.details(spec, step) {
			r.Lines = append(r.Lines, "    "+detail)
		}
		r.Changes = r.Changes || value(step, changed) == "true"
	}
	return r
}

// verdict is how a step's line begins and ends.
func verdict(step *wfev1.StepStatus) (mark, colour, says string) {
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
		return "=", "Skipped", "changes nothing by itself"
	case wfev1.StepFailed:
		return "✖", "Failed", strings.Join(strings.Fields(tree.Because(&wfev1.Failure{Reason: step.Reason, Message: step.Message})), " ")
	case wfev1.StepPending, wfev1.StepRunning, wfev1.StepAwaitingApproval, wfev1.StepCancelled:
	}
	return "✖", "Failed", "did not end: " + string(step.Phase)
}

func value(step *wfev1.StepStatus, output string) string {
	for _, o := range step.Outputs {
		if o.Name == output {
			return o.Value
		}
	}
	return ""
}

// reader knows what the outputs and parameters of an execution mean.
type reader struct {
	wfe     *wfev1.WorkflowExecution
	catalog translate.Catalog
}

// details tell what a step would do: what each given parameter replaces, and the other outputs as they are.
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
			// What is not asked for stays.
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

// given is the value that a step gives a parameter, if it does; one from another step is taken from that one's outputs.
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

// shorten makes one short line of a value.
func shorten(text string) string {
	return translate.Truncate(strings.Join(strings.Fields(text), " "), maxShown)
}
