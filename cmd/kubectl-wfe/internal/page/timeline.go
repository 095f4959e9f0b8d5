package page

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

const (
	// maxTicks bounds the number of ticks on the axis.
	maxTicks = 8
	// minWidth is the width of the shortest visible bar, in percent.
	minWidth = 0.5
)

// timeline has the steps and the rollback steps on one time axis.
type timeline struct {
	Ticks []tick
	Rows  []bar
	Undo  []bar
}

// tick is a labelled position on the axis.
type tick struct{ X, Label string }

// bar is the row of a step; a step that did not start has no X.
type bar struct {
	ID, Name, Action string
	Phase            phase
	X, Width         string
	// Tooltip is the title of the bar.
	Tooltip string
	Took    string
	Notes   []string
	// Ticks are drawn behind the bar.
	Ticks []tick
}

// span is the time range of a timeline.
type span struct{ from, to time.Time }

func spanOf(wfe *wfev1.WorkflowExecution, now time.Time) span {
	var s span
	see := func(t *metav1.Time) {
		if t == nil {
			return
		}
		if s.from.IsZero() || t.Time.Before(s.from) {
			s.from = t.Time
		}
		if t.After(s.to) {
			s.to = t.Time
		}
	}
	see(wfe.Status.StartTime)
	see(wfe.Status.CompletionTime)
	for _, steps := range [][]wfev1.StepStatus{wfe.Status.Steps, wfe.Status.RollbackSteps} {
		for i := range steps {
			see(steps[i].StartTime)
			see(steps[i].CompletionTime)
		}
	}
	if s.from.IsZero() {
		return s
	}
	if !tree.PhaseOf(wfe).IsTerminal() && now.After(s.to) {
		s.to = now
	}
	if s.to.Sub(s.from) < time.Second {
		s.to = s.from.Add(time.Second)
	}
	return s
}

// at returns the position of a time, in percent.
func (s span) at(t time.Time) float64 {
	return min(max(100*float64(t.Sub(s.from))/float64(s.to.Sub(s.from)), 0), 100)
}

// tickSteps are the distances between ticks.
var tickSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 168 * time.Hour,
}

func (s span) ticks() []tick {
	if s.from.IsZero() {
		return nil
	}
	step := tickSteps[len(tickSteps)-1]
	for _, candidate := range tickSteps {
		if s.to.Sub(s.from)/candidate < maxTicks {
			step = candidate
			break
		}
	}
	var ticks []tick
	for after := time.Duration(0); after <= s.to.Sub(s.from) && len(ticks) < maxTicks; after += step {
		x := s.at(s.from.Add(after))
		if x > 96 { // the label would not fit
			break
		}
		label := "0"
		if after > 0 {
			label = "+" + duration.HumanDuration(after)
		}
		ticks = append(ticks, tick{X: percent(x), Label: label})
	}
	return ticks
}

func (o *Options) timeline(wfe *wfev1.WorkflowExecution) timeline {
	s := spanOf(wfe, o.Now)
	t := timeline{Ticks: s.ticks()}
	specs := make(map[string]*wfev1.Step, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		specs[wfe.Spec.Steps[i].Name] = &wfe.Spec.Steps[i]
	}
	if len(wfe.Status.Steps) == 0 { // the controller has not processed it yet
		for i := range wfe.Spec.Steps {
			spec := &wfe.Spec.Steps[i]
			t.Rows = append(t.Rows, o.bar("step", &wfev1.StepStatus{Name: spec.Name, Action: spec.Action}, spec, s, nil))
		}
	}
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		t.Rows = append(t.Rows, o.bar("step", step, specs[step.Name], s, t.Ticks))
	}
	for i := range wfe.Status.RollbackSteps {
		t.Undo = append(t.Undo, o.bar("undo", &wfe.Status.RollbackSteps[i], nil, s, t.Ticks))
	}
	return t
}

func (o *Options) bar(kind string, step *wfev1.StepStatus, spec *wfev1.Step, s span, ticks []tick) bar {
	b := bar{
		ID: anchor(kind, step.Name), Name: step.Name, Action: step.Action, Phase: phaseOfStep(step), Ticks: ticks,
		Notes: tree.Notes(step, spec, tree.Options{Now: o.Now}),
	}
	if b.Action == "" {
		b.Action = "approval"
	}
	if step.StartTime == nil || s.from.IsZero() || step.Phase == wfev1.StepSkipped {
		return b
	}
	end := o.Now
	if step.CompletionTime != nil {
		end = step.CompletionTime.Time
	} else if step.Phase.IsTerminal() {
		end = step.StartTime.Time
	}
	b.Took = tree.Elapsed(step.StartTime, &metav1.Time{Time: end}, o.Now)
	from := s.at(step.StartTime.Time)
	width := max(s.at(end)-from, minWidth)
	b.X, b.Width = percent(min(from, 100-minWidth)), percent(min(width, 100-min(from, 100-minWidth)))
	b.Tooltip = fmt.Sprintf("%s: %s from %s to %s, %s", step.Name, b.Phase.Word, clock(step.StartTime.Time), clock(end), b.Took)
	return b
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
