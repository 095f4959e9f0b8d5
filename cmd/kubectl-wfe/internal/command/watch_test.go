package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// testTimeout bounds each wait of the tests.
const testTimeout = 20 * time.Second

// testWatch writes each status after the program has reported the previous one.
func testWatch(w *testCluster) {
	for name, test := range map[string]struct {
		end  wfev1.Phase
		last wfev1.StepPhase
		code int
		want string
	}{
		"good": {wfev1.PhaseCompleted, completed, 0, "good  Completed  4/4"},
		"bad":  {wfev1.PhaseFailed, wfev1.StepFailed, 2, `bad  Failed  4/4  0s  OOMKilled in step "scale-back"`},
		"over": {wfev1.PhaseCancelled, wfev1.StepCancelled, 3, "over  Cancelled  4/4"},
	} {
		wfe := w.createSample(name)
		w.mustWriteStatus(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
		ended := w.runWatch(name, "scale-up  Running", func(awaitOutput func(string)) {
			w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
			awaitOutput("ask  AwaitingApproval")
			w.mustWriteStatus(wfe, test.end, completed, completed, completed, test.last)
		})
		ended.check(w.t, test.code, "", "scale-up  Completed", test.want)
		w.run("watch", name).check(w.t, test.code, "", test.want)
	}
	w.createSample("slow")
	w.run("watch", "slow", "--timeout", "1ms").check(w.t, 1, `"slow" did not finish within 1ms`)
	w.run("watch", "slow", "--timeout", "1500ms").check(w.t, 1, `error: "slow" did not finish within 1.5s`, "slow  Pending")
	ctx, cancel := context.WithTimeout(w.t.Context(), 500*time.Millisecond)
	defer cancel()
	w.runIn(ctx, "", "watch", "slow").check(w.t, exitInterrupted, "")
}

// runWatch runs watch, waits until its output contains first, and then calls act.
func (w *testCluster) runWatch(name, first string, act func(awaitOutput func(string))) result {
	w.t.Helper()
	out := &buffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- Main(w.t.Context(), Environment{
			Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now,
		}, []string{"kubectl-wfe", "--kubeconfig", w.kubeconfig, "-n", w.namespace, "watch", name})
	}()
	awaitOutput := func(text string) {
		w.t.Helper()
		err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, testTimeout, true, func(context.Context) (bool, error) {
			return strings.Contains(out.String(), text), nil
		})
		if err != nil {
			w.t.Fatalf("the output has no %q:\n%s", text, out.String())
		}
	}
	awaitOutput(first)
	act(awaitOutput)
	select {
	case code := <-ended:
		return result{out: out.String(), code: code}
	case <-time.After(testTimeout):
		w.t.Fatalf("watch does not exit:\n%s", out.String())
		return result{}
	}
}

func testWatchDeletion(w *testCluster) {
	wfe := w.createSample("gone")
	w.mustWriteStatus(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.runWatch("gone", "scale-up  Running", func(func(string)) {
		if err := w.admin.Delete(w.t.Context(), wfe); err != nil {
			w.t.Fatal(err)
		}
	}).check(w.t, 1, "", `error: WorkflowExecution "gone" was deleted`)

	// watch does not follow another object with the same name.
	wfe = w.createSample("again")
	w.mustWriteStatus(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.runWatch("again", "scale-up  Running", func(func(string)) {
		if err := w.admin.Delete(w.t.Context(), wfe); err != nil {
			w.t.Fatal(err)
		}
		w.mustWriteStatus(w.createSample("again"), wfev1.PhaseCompleted, completed)
	}).check(w.t, 1, "", `error: WorkflowExecution "again" was deleted`)
}

// TestRedraw verifies that each tree replaces all lines of the previous one.
func TestRedraw(t *testing.T) {
	t.Parallel()
	out := &buffer{}
	s := &session{Environment: Environment{Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now}}
	draw := s.redraw()
	wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	wfe.Spec.Target = wfev1.Target{Kind: "Node", Name: "n"}
	wfe.Spec.Steps = []wfev1.Step{{Name: "do", Action: "wait"}}
	draw(wfe, false)
	wfe.Status.Phase = wfev1.PhaseFailed
	wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonTimedOut}
	draw(wfe, false)
	draw(wfe, true)
	want := "a  Pending  Node/n\n└─ ○ do  wait  Pending\n" +
		"\x1b[2A\x1b[Ja  Failed  Node/n\n  TimedOut\n└─ ○ do  wait  Pending\n" +
		"\x1b[3A\x1b[Ja  Failed  Node/n\n  TimedOut\n└─ ○ do  wait  Pending\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
