package tree

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
)

// symbols are the symbols of the step phases.
var symbols = map[wfev1.StepPhase]string{
	wfev1.StepPending: "○", wfev1.StepRunning: "●", wfev1.StepAwaitingApproval: "?",
	wfev1.StepCompleted: "✔", wfev1.StepFailed: "✖", wfev1.StepSkipped: "-", wfev1.StepCancelled: "⊘",
}

// Options control the drawing.
type Options struct {
	// Now is the end of the durations of running steps.
	Now   time.Time
	Style terminal.Style
	// Wide adds the pod and the outputs of each step.
	Wide bool
	// Width is the maximum length of a line; zero means no limit.
	Width int
}

// Line is a line of the drawing.
type Line struct {
	Text string
	// Phase is the phase of the line's step; empty for a line without a step.
	Phase wfev1.StepPhase
}

// Draw draws an execution: its phase, its steps, each below its deepest dependency, and its rollback.
func Draw(wfe *wfev1.WorkflowExecution, o Options) []Line {
	lines := []Line{{Text: heading(wfe, o)}}
	steps := drawRows(layout(wfe, o), o)
	for _, why := range reasons(wfe, isMessageCut(wfe, steps)) {
		for _, part := range wrap(why, o.Width-len(reasonIndent)) {
			lines = append(lines, Line{Text: reasonIndent + part})
		}
	}
	lines = append(lines, steps...)
	if undo := wfe.Status.RollbackSteps; len(undo) > 0 {
		lines = append(lines, Line{Text: o.Style.Bold("rollback")})
		rows := make([]row, len(undo))
		for i := range undo {
			rows[i] = newRow(&undo[i], nil, o)
			rows[i].branch = branch(i == len(undo)-1)
		}
		lines = append(lines, drawRows(rows, o)...)
	}
	return lines
}

func heading(wfe *wfev1.WorkflowExecution, o Options) string {
	phase := PhaseOf(wfe)
	parts := []string{o.Style.Bold(wfe.Name), o.Style.Phase(string(phase), string(phase))}
	plain := []string{wfe.Name, string(phase)}
	add := func(text string) {
		if text != "" {
			parts, plain = append(parts, text), append(plain, text)
		}
	}
	add(wfe.Status.Progress)
	add(Elapsed(wfe.Status.StartTime, wfe.Status.CompletionTime, o.Now))
	add(wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name)
	if wfe.Spec.DryRun {
		add("dry run")
	}
	if text := strings.Join(plain, "  "); o.Width > 0 && utf8.RuneCountInString(text) > o.Width {
		return cut(text, o.Width)
	}
	return strings.Join(parts, "  ")
}

// PhaseOf returns the phase of an execution; without a status it is Pending.
func PhaseOf(wfe *wfev1.WorkflowExecution) wfev1.Phase {
	if wfe.Status.Phase == "" {
		return wfev1.PhasePending
	}
	return wfe.Status.Phase
}

// reasonIndent indents the lines below the heading.
const reasonIndent = "  "

// Reasons returns why an execution failed, or what it waits for.
func Reasons(wfe *wfev1.WorkflowExecution) []string { return reasons(wfe, false) }

// isMessageCut reports whether the lines of the steps have no room for the message of the failure.
func isMessageCut(wfe *wfev1.WorkflowExecution, steps []Line) bool {
	return wfe.Status.Failure != nil && !slices.ContainsFunc(steps, func(line Line) bool {
		return strings.Contains(line.Text, flatten(wfe.Status.Failure.Message))
	})
}

// reasons includes the message of the failed step if isCut, because no other line has it as a whole.
func reasons(wfe *wfev1.WorkflowExecution, isCut bool) []string {
	var all []string
	if failure := wfe.Status.Failure; failure != nil {
		short := *failure
		if !isCut && isShownByStep(wfe, failure) {
			short.Message = ""
		}
		all = append(all, FailureText(&short))
	}
	if PhaseOf(wfe) == wfev1.PhasePending {
		for _, kind := range []string{wfev1.ConditionAdmitted, wfev1.ConditionNamespaceReady, wfev1.ConditionEngineAvailable} {
			if c := meta.FindStatusCondition(wfe.Status.Conditions, kind); c != nil && c.Status != metav1.ConditionTrue {
				all = append(all, c.Message)
			}
		}
	}
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil && c.Message != "" {
		all = append(all, c.Message)
	}
	return all
}

// isShownByStep reports whether the line of the failed step already has the message of the failure.
func isShownByStep(wfe *wfev1.WorkflowExecution, failure *wfev1.Failure) bool {
	return slices.ContainsFunc(wfe.Status.Steps, func(step wfev1.StepStatus) bool {
		return step.Name == failure.Step && step.Message == failure.Message
	})
}

// ActiveSteps returns the steps and rollback steps that run or wait for an approval.
func ActiveSteps(wfe *wfev1.WorkflowExecution) []string {
	var names []string
	for _, steps := range [][]wfev1.StepStatus{wfe.Status.Steps, wfe.Status.RollbackSteps} {
		for i := range steps {
			if p := steps[i].Phase; p == wfev1.StepRunning || p == wfev1.StepAwaitingApproval {
				names = append(names, steps[i].Name)
			}
		}
	}
	return names
}

// FailureText returns the reason, step and message of a failure in one line.
func FailureText(failure *wfev1.Failure) string {
	text := string(failure.Reason)
	if named := fmt.Sprintf("step %q", failure.Step); failure.Step != "" && !strings.HasPrefix(failure.Message, named) {
		text += " in " + named
	}
	if failure.Message != "" {
		text += ": " + failure.Message
	}
	return text
}

// row has the parts of a step's line.
type row struct {
	branch string
	step   *wfev1.StepStatus
	took   string
	notes  []string
}

func newRow(step *wfev1.StepStatus, spec *wfev1.Step, o Options) row {
	r := row{step: step, took: Elapsed(step.StartTime, step.CompletionTime, o.Now)}
	if step.Attempts > 1 {
		r.notes = append(r.notes, fmt.Sprintf("%d attempts", step.Attempts))
	}
	if step.Reason != "" {
		r.notes = append(r.notes, strings.TrimSuffix(string(step.Reason)+": "+step.Message, ": "))
	} else if step.Message != "" && step.Phase != wfev1.StepSkipped {
		r.notes = append(r.notes, step.Message)
	}
	if spec != nil && step.Phase == wfev1.StepAwaitingApproval && spec.Approval != nil {
		if message := spec.Approval.Message; message != "" && message != step.Message {
			r.notes = append(r.notes, message)
		}
		if seconds := spec.Approval.TimeoutSeconds; seconds != nil && step.StartTime != nil {
			left := step.StartTime.Add(time.Duration(*seconds) * time.Second).Sub(o.Now)
			r.notes = append(r.notes, "expires in "+duration.HumanDuration(max(left, 0)))
		}
	}
	if o.Wide {
		for _, output := range step.Outputs {
			r.notes = append(r.notes, output.Name+"="+output.Value)
		}
		if step.PodName != "" {
			r.notes = append(r.notes, "pod "+step.PodName)
		}
	}
	return r
}

// Notes returns the text of a step's line after its phase and duration; spec is nil for a rollback step.
func Notes(step *wfev1.StepStatus, spec *wfev1.Step, o Options) []string {
	return newRow(step, spec, o).notes
}

// Symbol returns the symbol of a step phase.
func Symbol(phase wfev1.StepPhase) string { return symbols[phase] }

func (r *row) name() string { return r.branch + symbols[phaseOf(r.step)] + " " + r.step.Name }

func (r *row) action() string {
	if r.step.Action == "" {
		return "approval"
	}
	return r.step.Action
}

func phaseOf(step *wfev1.StepStatus) wfev1.StepPhase {
	if step.Phase == "" {
		return wfev1.StepPending
	}
	return step.Phase
}

// drawRows aligns rows in columns.
func drawRows(rows []row, o Options) []Line {
	var widths [4]int
	for i := range rows {
		for column, cell := range cells(&rows[i]) {
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]Line, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		phase := phaseOf(r.step)
		var plain, styled strings.Builder
		for column, cell := range cells(r) {
			pad := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell)+2)
			plain.WriteString(cell + pad)
			switch column {
			case 0:
				name := r.name()[len(r.branch):]
				styled.WriteString(o.Style.Faint(r.branch) + o.Style.Phase(string(phase), name) + pad)
			case 2:
				styled.WriteString(o.Style.Phase(string(phase), cell) + pad)
			default:
				styled.WriteString(cell + pad)
			}
		}
		note := flatten(strings.Join(r.notes, ", "))
		text := styled.String() + note
		if whole := plain.String() + note; o.Width > 0 && utf8.RuneCountInString(whole) > o.Width {
			text = cut(whole, o.Width)
			if room := o.Width - utf8.RuneCountInString(plain.String()); room > 0 {
				text = styled.String() + cut(note, room)
			}
		}
		lines = append(lines, Line{Text: strings.TrimRight(text, " "), Phase: phase})
	}
	return lines
}

func cells(r *row) [4]string {
	return [4]string{r.name(), r.action(), string(phaseOf(r.step)), r.took}
}

// flatten joins the lines of a message.
func flatten(text string) string { return strings.Join(strings.Fields(text), " ") }

// wrap breaks text into lines of at most width characters, between words where possible; zero or less does not break.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for utf8.RuneCountInString(line) > width {
			runes := []rune(line)
			lines, line = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	return append(lines, line)
}

// cut shortens text to at most width characters.
func cut(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(slices.Concat(runes[:width-1], []rune("…")))
}

// Elapsed is how long something ran, so far if it has no end; empty when it did not start.
func Elapsed(start, end *metav1.Time, now time.Time) string {
	if start == nil {
		return ""
	}
	until := now
	if end != nil {
		until = end.Time
	}
	return duration.HumanDuration(max(until.Sub(start.Time), 0))
}
