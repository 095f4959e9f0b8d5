package controllers

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// look is one look of an execution with progress to tell: after a time, and how long it has to wait then.
type look struct {
	name  string
	after time.Duration
	waits time.Duration
	// told says that its status is written, and gone that it has ended.
	told, gone bool
}

func TestPace(t *testing.T) {
	for name, tc := range map[string][]look{
		"The first time is free, for any number.": {
			{name: "a", told: true}, {name: "b", told: true}, {name: "c", told: true}, {name: "d", told: true},
		},
		"Twice as many as a second may be told at once, and then one after another.": {
			{name: "a", told: true}, {name: "a", told: true}, {name: "a", told: true}, {name: "a", waits: time.Second},
		},
		"Whoever waits keeps the turn, however often it looks.": {
			{name: "a", told: true}, {name: "a", told: true}, {name: "a", told: true}, {name: "b", told: true},
			{name: "a", waits: time.Second}, {name: "a", waits: time.Second}, {name: "b", waits: 2 * time.Second},
			{name: "b", after: 500 * time.Millisecond, waits: 1500 * time.Millisecond}, {name: "a", after: time.Second, told: true},
			{name: "b", after: 2 * time.Second, told: true},
		},
		"One that tells of more than progress gives its turn back.": {
			{name: "a", told: true}, {name: "a", told: true}, {name: "a", told: true}, {name: "b", told: true},
			{name: "a", waits: time.Second, told: true}, {name: "b", waits: time.Second},
		},
		"What has ended is forgotten.": {
			{name: "a", told: true}, {name: "a", told: true}, {name: "a", told: true}, {name: "a", waits: time.Second, gone: true}, {name: "a", told: true},
		},
		"Time that passes is worth no more than is told at once.": {
			{name: "a", told: true}, {name: "a", after: time.Hour, told: true}, {name: "a", after: time.Hour, told: true},
			{name: "a", after: time.Hour, waits: time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, began := &pace{}, time.Unix(1e9, 0)
			for i, l := range tc {
				key, now := types.NamespacedName{Name: l.name}, began.Add(l.after)
				if waits := p.wait(key, 1, now); waits != l.waits {
					t.Fatalf("look %d: %s waits %s, not %s", i, l.name, waits, l.waits)
				}
				if l.told {
					p.written(key, now)
				}
				if l.gone {
					p.forget(key, now)
				}
			}
		})
	}
}

// However many wait, none waits longer than a minute; and a storm leaves no debt behind that takes longer to work off.
func TestPaceIsBounded(t *testing.T) {
	const many = 1000
	p, now := &pace{}, time.Unix(1e9, 0)
	key := func(i int) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(i)} }
	for i := range many {
		p.wait(key(i), 5, now)
	}
	longest := time.Duration(0)
	for i := range many {
		longest = max(longest, p.wait(key(i), 5, now))
	}
	if longest != mostHeld {
		t.Errorf("the last of %d waits %s, not %s", many, longest, mostHeld)
	}
	now = now.Add(mostHeld)
	for i := range many {
		if wait := p.wait(key(i), 5, now); wait != 0 {
			t.Fatalf("%d waits %s more", i, wait)
		}
		p.written(key(i), now)
	}
	now = now.Add(mostHeld)
	if wait := p.wait(key(0), 5, now); wait != 0 {
		t.Errorf("one alone waits %s afterwards", wait)
	}
}

func TestIsProgress(t *testing.T) {
	status := func(mutate func(*wfev1.WorkflowExecutionStatus)) *wfev1.WorkflowExecutionStatus {
		s := &wfev1.WorkflowExecutionStatus{
			Phase: wfev1.PhaseRunning, Progress: "1/2",
			Conditions: []metav1.Condition{{Type: wfev1.ConditionReconciling, Status: metav1.ConditionTrue}},
			Steps:      []wfev1.StepStatus{{Name: "a", Phase: wfev1.StepCompleted}, {Name: "b", Phase: wfev1.StepRunning}},
		}
		mutate(s)
		return s
	}
	for name, tc := range map[string]struct {
		mutate func(*wfev1.WorkflowExecutionStatus)
		want   bool
	}{
		"A step goes on.":   {func(s *wfev1.WorkflowExecutionStatus) { s.Steps[1].Phase, s.Progress = wfev1.StepCompleted, "2/2" }, true},
		"A step is undone.": {func(s *wfev1.WorkflowExecutionStatus) { s.RollbackSteps = []wfev1.StepStatus{{Name: "a"}} }, true},
		"A step fails.":     {func(s *wfev1.WorkflowExecutionStatus) { s.Steps[1].Phase = wfev1.StepFailed }, false},
		"An undoing fails.": {func(s *wfev1.WorkflowExecutionStatus) {
			s.RollbackSteps = []wfev1.StepStatus{{Phase: wfev1.StepFailed}}
		}, false},
		"The phase changes.":     {func(s *wfev1.WorkflowExecutionStatus) { s.Phase = wfev1.PhaseSuspended }, false},
		"A condition changes.":   {func(s *wfev1.WorkflowExecutionStatus) { s.Conditions[0].Message = "no node statuses" }, false},
		"The user changed it.":   {func(s *wfev1.WorkflowExecutionStatus) { s.ObservedGeneration++ }, false},
		"A pause is accounted.":  {func(s *wfev1.WorkflowExecutionStatus) { s.SuspendedSeconds++ }, false},
		"A rollback is started.": {func(s *wfev1.WorkflowExecutionStatus) { s.RollbackRef = &wfev1.WorkflowReference{Name: "x"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := status(func(*wfev1.WorkflowExecutionStatus) {})
			if got := isProgress(before, status(tc.mutate)); got != tc.want {
				t.Errorf("isProgress: %t", got)
			}
		})
	}
}
