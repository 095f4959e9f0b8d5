package command

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// within bounds what must happen.
const within = 20 * time.Second

// testWatch lets the program follow while statuses are written, each once the program has told of the one before.
func testWatch(w *world) {
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
		wfe := w.sample(name)
		w.mustReport(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
		ended := w.watching(name, "scale-up  Running", func(told func(string)) {
			w.mustReport(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
			told("ask  AwaitingApproval")
			w.mustReport(wfe, test.end, completed, completed, completed, test.last)
		})
		ended.check(w.t, test.code, "", "scale-up  Completed", test.want)
		w.run("watch", name).check(w.t, test.code, "", test.want)
	}
	w.sample("slow")
	w.run("watch", "slow", "--timeout", "1ms").check(w.t, 1, `"slow" has not ended within 1ms`)
	w.run("watch", "slow", "--timeout", "1500ms").check(w.t, 1, `error: "slow" has not ended within 1.5s`, "slow  Pending")
	ctx, cancel := context.WithTimeout(w.t.Context(), 500*time.Millisecond)
	defer cancel()
	w.runIn(ctx, "", "watch", "slow").check(w.t, exitInterrupted, "")
}

// watching runs watch, waits until it has told first, and then does what is to be watched.
func (w *world) watching(name, first string, act func(told func(string))) result {
	w.t.Helper()
	out := &buffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- Main(w.t.Context(), Environment{
			Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now,
		}, []string{"kubectl-wfe", "--kubeconfig", w.kubeconfig, "-n", w.namespace, "watch", name})
	}()
	told := func(text string) {
		w.t.Helper()
		err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, within, true, func(context.Context) (bool, error) {
			return strings.Contains(out.String(), text), nil
		})
		if err != nil {
			w.t.Fatalf("%q was not told:\n%s", text, out.String())
		}
	}
	told(first)
	act(told)
	select {
	case code := <-ended:
		return result{out: out.String(), code: code}
	case <-time.After(within):
		w.t.Fatalf("watch does not end:\n%s", out.String())
		return result{}
	}
}

func testWatchDeletion(w *world) {
	wfe := w.sample("gone")
	w.mustReport(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.watching("gone", "scale-up  Running", func(func(string)) {
		if err := w.admin.Delete(w.t.Context(), wfe); err != nil {
			w.t.Fatal(err)
		}
	}).check(w.t, 1, "", `error: WorkflowExecution "gone" was deleted`)

	// Another one of the same name is not followed, whatever becomes of it.
	wfe = w.sample("again")
	w.mustReport(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.watching("again", "scale-up  Running", func(func(string)) {
		if err := w.admin.Delete(w.t.Context(), wfe); err != nil {
			w.t.Fatal(err)
		}
		w.mustReport(w.sample("again"), wfev1.PhaseCompleted, completed)
	}).check(w.t, 1, "", `error: WorkflowExecution "again" was deleted`)
}

// runDryRuns is the controller's place: it ends every dry run of the namespace with these phases of its steps.
func (w *world) runDryRuns(ctx context.Context, phase wfev1.Phase, steps ...wfev1.StepPhase) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list := &wfev1.WorkflowExecutionList{}
		if err := w.admin.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			wfe := &list.Items[i]
			if wfe.Spec.DryRun && wfe.Status.Phase == "" {
				if err := w.report(ctx, wfe, phase, steps...); client.IgnoreNotFound(err) != nil {
					return false, err
				}
			}
		}
		return false, nil
	})
}

func testDiff(w *world) {
	w.mustReport(w.sample("plan"), wfev1.PhaseFailed, wfev1.StepFailed)
	for _, test := range []struct {
		name    string
		phase   wfev1.Phase
		steps   []wfev1.StepPhase
		args    []string
		code    int
		wantErr string
		want    []string
	}{
		{"changes", wfev1.PhaseCompleted, []wfev1.StepPhase{completed, completed, completed, completed}, []string{"plan"}, 1, "",
			[]string{"plan: Deployment/payment-api", "~ scale-up  scale-deployment  would change", "    replicas: 2 → 5", "= restart"}},
		{"nothing", wfev1.PhaseCompleted, []wfev1.StepPhase{wfev1.StepSkipped, completed, completed, wfev1.StepSkipped}, []string{"plan"}, 0, "",
			[]string{"- scale-up  scale-deployment  would not run"}},
		{"failure", wfev1.PhaseFailed, []wfev1.StepPhase{wfev1.StepFailed}, []string{"plan"}, 2, `error: the dry run of "plan" ended in phase Failed`,
			[]string{"✖ scale-up  scale-deployment  OOMKilled"}},
		{"file", wfev1.PhaseCompleted, []wfev1.StepPhase{completed, completed}, []string{"-f", samples + "approval.yaml"}, 0, "",
			[]string{"payment-api-approval: Deployment/payment-api", "= restart"}},
	} {
		ctx, cancel := context.WithCancel(w.t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- w.runDryRuns(ctx, test.phase, test.steps...) }()
		args := test.args
		if test.name == "file" {
			args = []string{"-f", w.rewritten(args[1])}
		}
		got := w.run(append([]string{"diff"}, args...)...)
		cancel()
		if err := <-stopped; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Fatal(err)
		}
		w.t.Log(test.name)
		got.check(w.t, test.code, test.wantErr, test.want...)
		w.checkNoDryRun()
	}
}

// rewritten is a sample without its namespace.
func (w *world) rewritten(file string) string {
	w.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return write(w.t, "sample.yaml", strings.Replace(string(content), "  namespace: production\n", "", 1))
}

func (w *world) checkNoDryRun() {
	w.t.Helper()
	list := &wfev1.WorkflowExecutionList{}
	if err := w.admin.List(w.t.Context(), list, client.InNamespace(w.namespace)); err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		if list.Items[i].Spec.DryRun {
			w.t.Errorf("the dry run %s was left behind", list.Items[i].Name)
		}
	}
}

// testDiffWithoutEnd gives up on a dry run, by itself and by the user: it is deleted all the same.
func testDiffWithoutEnd(w *world) {
	w.sample("plan")
	w.run("diff", "plan", "--timeout", "1200ms").check(w.t, 2, "has not ended within 1.2s")
	w.checkNoDryRun()
	ctx, cancel := context.WithTimeout(w.t.Context(), 1500*time.Millisecond)
	defer cancel()
	w.runIn(ctx, "", "diff", "plan").check(w.t, exitInterrupted, "")
	w.checkNoDryRun()
}
