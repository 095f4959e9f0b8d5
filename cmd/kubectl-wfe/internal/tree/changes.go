package tree

import (
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Changes returns a line for each change between two versions of an execution; the line for its own phase comes last.
// For the first version, before is nil, and the line for the phase of a running execution comes first.
func Changes(before, after *wfev1.WorkflowExecution, o Options) []string {
	var lines []string
	stamp := o.Now.Format("15:04:05") + "  "
	add := func(parts ...string) {
		line := stamp
		for _, part := range parts {
			if part != "" {
				line += part + "  "
			}
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	isFirst := before == nil
	if isFirst {
		before = &wfev1.WorkflowExecution{}
	}
	phase := func() {
		took := ""
		if PhaseOf(after).IsTerminal() {
			took = Elapsed(after.Status.StartTime, after.Status.CompletionTime, o.Now)
		}
		add(append([]string{after.Name, string(PhaseOf(after)), after.Status.Progress, took}, Reasons(after)...)...)
	}
	if isFirst && !PhaseOf(after).IsTerminal() {
		phase()
	}
	changed := func(was, is []wfev1.StepStatus, what string) {
		known := make(map[string]string, len(was))
		for i := range was {
			known[was[i].Name] = stepText(&was[i], o)
		}
		for i := range is {
			text := stepText(&is[i], o)
			if text != "" && known[is[i].Name] != text {
				add(what+is[i].Name, text)
			}
		}
	}
	changed(before.Status.Steps, after.Status.Steps, "")
	changed(before.Status.RollbackSteps, after.Status.RollbackSteps, "rollback of ")
	if isFirst && PhaseOf(after).IsTerminal() || !isFirst && PhaseOf(before) != PhaseOf(after) {
		phase()
	}
	return lines
}

// stepText returns the text of a step's line: empty before the step starts, with its duration after it ends.
func stepText(step *wfev1.StepStatus, o Options) string {
	if phaseOf(step) == wfev1.StepPending && step.Reason == "" {
		return ""
	}
	parts := []string{string(phaseOf(step))}
	if step.Phase.IsTerminal() {
		if took := Elapsed(step.StartTime, step.CompletionTime, o.Now); took != "" {
			parts = append(parts, took)
		}
	}
	if notes := newRow(step, nil, o).notes; len(notes) > 0 {
		parts = append(parts, flatten(strings.Join(notes, ", ")))
	}
	return strings.Join(parts, "  ")
}
