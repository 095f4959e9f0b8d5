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
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/paint"
)

// marks are what a step's phase looks like.
var marks = map[wfev1.StepPhase]string{
	wfev1.StepPending: "○", wfev1.StepRunning: "●", wfev1.StepAwaitingApproval: "?",
	wfev1.StepCompleted: "✔", wfev1.StepFailed: "✖", wfev1.StepSkipped: "-", wfev1.StepCancelled: "⊘",
}

// Options say how to draw.
type Options struct {
	// Now is until when what runs has run.
	Now   time.Time
	Paint paint.Painter
	// Wide adds the pods and outputs of the steps.
	Wide bool
	// Width cuts the lines; zero leaves them as long as they are.
	Width int
}

// Line is a line of the drawing.
type Line struct {
	Text string
	// Phase is the phase of the step that the line is about; empty for a line that is about none.
	Phase wfev1.StepPhase
}

// Draw draws an execution: its phase, its steps, each below the one that it waits for last, and its rollback.
func Draw(wfe *wfev1.WorkflowExecution, o Options) []Line {
	lines := []Line{{Text: heading(wfe, o)}}
	for _, why := range Reasons(wfe) {
		lines = append(lines, Line{Text: cut("  "+why, o.Width)})
	}
	lines = append(lines, drawRows(layout(wfe, o), o)...)
	if undo := wfe.Status.RollbackSteps; len(undo) > 0 {
		lines = append(lines, Line{Text: o.Paint.Bold("rollback")})
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
	parts := []string{o.Paint.Bold(wfe.Name), o.Paint.Phase(string(phase), string(phase))}
	plain := []string{wfe.Name, string(phase)}
	add := func(text string) {
		if text != "" {
			parts, plain = append(parts, text), append(plain, text)
		}
	}
	add(wfe.Status.Progress)
	add(Took(wfe.Status.StartTime, wfe.Status.CompletionTime, o.Now))
	add(wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name)
	if wfe.Spec.DryRun {
		add("dry run")
	}
	if text := strings.Join(plain, "  "); o.Width > 0 && utf8.RuneCountInString(text) > o.Width {
		return cut(text, o.Width)
	}
	return strings.Join(parts, "  ")
}

// PhaseOf is an execution's phase; one that the controller has not seen yet is pending.
func PhaseOf(wfe *wfev1.WorkflowExecution) wfev1.Phase {
	if wfe.Status.Phase == "" {
		return wfev1.PhasePending
	}
	return wfe.Status.Phase
}

// Reasons tell why an execution failed, or what it waits for.
func Reasons(wfe *wfev1.WorkflowExecution) []string {
	var all []string
	if failure := wfe.Status.Failure; failure != nil {
		short := *failure
		if saysItself(wfe, failure) {
			short.Message = ""
		}
		all = append(all, Because(&short))
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

// saysItself reports whether the failed step's own line has the failure's message.
func saysItself(wfe *wfev1.WorkflowExecution, failure *wfev1.Failure) bool {
	return slices.ContainsFunc(wfe.Status.Steps, func(step wfev1.StepStatus) bool {
		return step.Name == failure.Step && step.Message == failure.Message
	})
}

// UnderWay is the steps, or undos, that run or wait for somebody.
func UnderWay(wfe *wfev1.WorkflowExecution) []string {
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

// Because says in one line why an execution failed.
func Because(failure *wfev1.Failure) string {
	text := string(failure.Reason)
	if named := fmt.Sprintf("step %q", failure.Step); failure.Step != "" && !strings.HasPrefix(failure.Message, named) {
		text += " in " + named
	}
	if failure.Message != "" {
		text += ": " + failure.Message
	}
	return text
}

// row is a step's line before it is put together.
type row struct {
	branch string
	step   *wfev1.StepStatus
	took   string
	notes  []string
}

func newRow(step *wfev1.StepStatus, spec *wfev1.Step, o Options) row {
	r := row{step: step, took: Took(step.StartTime, step.CompletionTime, o.Now)}
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

// Notes are what a step's line says beyond its phase and time; spec is nil for a step of a rollback.
func Notes(step *wfev1.StepStatus, spec *wfev1.Step, o Options) []string {
	return newRow(step, spec, o).notes
}

// Mark is what a step's phase looks like.
func Mark(phase wfev1.StepPhase) string { return marks[phase] }

func (r *row) name() string { return r.branch + marks[phaseOf(r.step)] + " " + r.step.Name }

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

// drawRows puts rows together in columns.
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
		var plain, painted strings.Builder
		for column, cell := range cells(r) {
			pad := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell)+2)
			plain.WriteString(cell + pad)
			switch column {
			case 0:
				name := r.name()[len(r.branch):]
				painted.WriteString(o.Paint.Faint(r.branch) + o.Paint.Phase(string(phase), name) + pad)
			case 2:
				painted.WriteString(o.Paint.Phase(string(phase), cell) + pad)
			default:
				painted.WriteString(cell + pad)
			}
		}
		note := flatten(strings.Join(r.notes, ", "))
		text := painted.String() + note
		if whole := plain.String() + note; o.Width > 0 && utf8.RuneCountInString(whole) > o.Width {
			text = cut(whole, o.Width)
			if room := o.Width - utf8.RuneCountInString(plain.String()); room > 0 {
				text = painted.String() + cut(note, room)
			}
		}
		lines = append(lines, Line{Text: strings.TrimRight(text, " "), Phase: phase})
	}
	return lines
}

func cells(r *row) [4]string {
	return [4]string{r.name(), r.action(), string(phaseOf(r.step)), r.took}
}

// flatten makes one line of a message.
func flatten(text string) string { return strings.Join(strings.Fields(text), " ") }

// cut shortens text to so many characters.
func cut(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(slices.Concat(runes[:width-1], []rune("…")))
}

// Took is how long something ran, so far if it has no end; empty when it did not start.
func Took(start, end *metav1.Time, now time.Time) string {
	if start == nil {
		return ""
	}
	until := now
	if end != nil {
		until = end.Time
	}
	return duration.HumanDuration(max(until.Sub(start.Time), 0))
}
