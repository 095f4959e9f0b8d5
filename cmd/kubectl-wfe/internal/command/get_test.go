package command

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	completed = wfev1.StepCompleted
	awaiting  = wfev1.StepAwaitingApproval
)

// testGet verifies the selections, the order, and the activity of executions.
func testGet(w *testCluster) {
	old := w.createSample("old")
	w.mustWriteStatus(old, wfev1.PhaseFailed, wfev1.StepFailed)
	waiting := w.createNewer(old, "waiting")
	w.mustWriteStatus(waiting, wfev1.PhaseAwaitingApproval, completed, awaiting)
	locked := w.createNewer(waiting, "locked")
	locked.Status.Phase = wfev1.PhasePending
	locked.Status.Conditions = []metav1.Condition{{
		Type: wfev1.ConditionAdmitted, Status: metav1.ConditionFalse, Reason: "TargetLocked", Message: `"waiting" holds the target`, LastTransitionTime: metav1.Now(),
	}}
	if err := w.admin.Status().Update(w.t.Context(), locked); err != nil {
		w.t.Fatal(err)
	}
	names := func(args ...string) []string {
		w.t.Helper()
		got := w.run(append([]string{"get"}, args...)...)
		got.check(w.t, 0, "")
		var names []string
		for line := range strings.Lines(got.out) {
			names = append(names, strings.Fields(line)[0])
		}
		if len(names) == 0 {
			w.t.Fatalf("get %v prints no rows", args)
		}
		return names[1:]
	}
	for _, test := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"locked", "waiting", "old"}},
		{[]string{"--failed"}, []string{"old"}},
		{[]string{"--target", "deployment/payment-api", "--since", "1h"}, []string{"locked", "waiting", "old"}},
		{[]string{"--field-selector", "metadata.name=waiting"}, []string{"waiting"}},
		{[]string{"--sort", "duration"}, []string{"waiting", "old", "locked"}},
	} {
		if got := names(test.args...); !slices.Equal(got, test.want) {
			w.t.Errorf("get %v lists %v, want %v", test.args, got, test.want)
		}
	}
	w.run("get").check(w.t, 0, "", "TARGET", "Deployment/payment-api", "ask: Restart?", `"waiting" holds the target`)
	w.run("get", "--target", "StatefulSet/payment-api").check(w.t, 0, "note: no executions found for this selection in namespace")
	w.run("get", "--since", "1ns").check(w.t, 0, "note: no executions found for this selection")
	w.run("get", "--target", "payment-api").check(w.t, 1, `error: invalid --target "payment-api": must be KIND/NAME`)
	w.run("get", "--sort", "name").check(w.t, 1, `error: invalid --sort value "name": must be age or duration`)
	w.run("get", "old", "-A").check(w.t, 1, "error: NAME selects a single execution")
	w.run("get", "-w", "-o", "json").check(w.t, 1, "error: --watch prints rows")
	elsewhere := w.in(w.t)
	elsewhere.run("get", "old").check(w.t, 1, `error: WorkflowExecution "old" not found in namespace "`+elsewhere.namespace+`"; it exists in `)
}

// testGetWatch verifies that each change adds a row, without repeated headers.
func testGetWatch(w *testCluster) {
	wfe := w.createSample("watched")
	ctx, stop := context.WithCancel(w.t.Context())
	out := &buffer{}
	done := make(chan int, 1)
	go func() {
		done <- Main(ctx, Environment{Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now},
			[]string{"kubectl-wfe", "--kubeconfig", w.kubeconfig, "-n", w.namespace, "get", "--watch"})
	}()
	has := func(text string) func() bool { return func() bool { return strings.Contains(out.String(), text) } }
	w.eventually("the list is printed", has("watched"))
	w.mustWriteStatus(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.eventually("the change is printed", has("Running"))
	w.createSample("other")
	w.eventually("the new execution is printed", has("other"))
	stop()
	if code := <-done; code != exitInterrupted {
		w.t.Errorf("exit code %d after an interrupt", code)
	}
	if n := strings.Count(out.String(), "PHASE"); n != 1 {
		w.t.Errorf("%d headers:\n%s", n, out)
	}
}

func testViews(w *testCluster) {
	wfe := w.createSample("look")
	w.run("tree", "look").check(w.t, 0, "", "look  Pending  Deployment/payment-api", "└─ ○ scale-up", "Pending")
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)

	w.run("get").check(w.t, 0, "", "NAME", "PROGRESS", "AwaitingApproval", "1/4", "ask")
	w.run("get", "-A", "-o", "wide").check(w.t, 0, "", "NAMESPACE", "TARGET", w.namespace, "Deployment/payment-api")
	w.run("get", "look").check(w.t, 0, "", "look", "AwaitingApproval")
	w.run("get", "-l", "alert=other").check(w.t, 0, "note: no executions found")
	w.run("get", "-l", "alert=oom", "-o", "json").check(w.t, 0, "", `"kind": "WorkflowExecutionList"`, `"name": "look"`)
	w.run("tree", "look").check(w.t, 0, "", "✔ scale-up", "? ask", "Restart?", "1/4")
	w.run("tree", "look", "-o", "wide").check(w.t, 0, "", "previous-replicas=2")
	w.run("graph", "look").check(w.t, 0, "", "fill:#d3f2d8")

	got := w.run("get", "look", "-o", "yaml")
	got.check(w.t, 0, "")
	read := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(got.out), read); err != nil || read.Kind != wfev1.Kind || read.UID != wfe.UID || read.ManagedFields != nil {
		w.t.Errorf("the object is %+v, error %v", read.ObjectMeta, err)
	}
	w.runIn(w.t.Context(), got.out, "lint", "-f", "-").check(w.t, 0, "", "look: no problems")

	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "look.", Namespace: w.namespace},
		InvolvedObject: corev1.ObjectReference{Kind: wfev1.Kind, Name: "look", Namespace: w.namespace, UID: wfe.UID},
		Type:           "Normal", Reason: "Started", Message: "the Workflow was created", LastTimestamp: metav1.Now(),
	}
	other := event.DeepCopy()
	other.InvolvedObject.UID, other.Reason = "another", "NotOurs"
	for _, e := range []*corev1.Event{event, other} {
		if err := w.admin.Create(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	described := w.run("describe", "look")
	described.check(w.t, 0, "", "Target:", "Deployment/payment-api (apps/v1)", "Started", "the Workflow was created", "previous-replicas")
	if strings.Contains(described.out, "NotOurs") {
		w.t.Error("the output has an event of another object")
	}
}
