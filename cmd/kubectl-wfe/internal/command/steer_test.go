package command

import (
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

func testDecide(w *world) {
	wfe := w.sample("one")
	w.run("approve", "one").check(w.t, 1, `error: "one" does not wait for a decision now; to decide before it does, name one of ["ask"]`)
	w.run("approve", "one", "scale-up").check(w.t, 1, `error: "one" has no approval step "scale-up"; it has ["ask"]`)
	w.mustReport(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.run("approve", "one", "--reason", "looks right").check(w.t, 0, "", `step "ask" of "one" is approved by carol`)
	want := []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "looks right"}}
	if diff := cmp.Diff(want, w.now("one").Spec.Approvals); diff != "" {
		w.t.Errorf("approvals (-want +got):\n%s", diff)
	}
	w.run("reject", "one", "ask").check(w.t, 1, `error: step "ask" is approved already, by "carol"`)

	w.sample("early")
	w.run("reject", "early", "ask", "--by", "dave").check(w.t, 0, "", `step "ask" of "early" is rejected by dave, before the execution comes to it`)
	if diff := cmp.Diff([]wfev1.Approval{{Step: "ask", By: "dave"}}, w.now("early").Spec.Approvals); diff != "" {
		w.t.Errorf("approvals (-want +got):\n%s", diff)
	}
	w.mustReport(w.sample("ended"), wfev1.PhaseFailed, wfev1.StepFailed)
	w.run("approve", "ended", "ask").check(w.t, 1, `error: "ended" has ended: it is Failed`)
}

// testDecideTogether lets many decide on steps of their own at once: none is lost, though a patch replaces the list.
func testDecideTogether(w *world) {
	wfe := &wfev1.WorkflowExecution{}
	wfe.Name, wfe.Namespace = "many", w.namespace
	wfe.Spec.Target = wfev1.Target{APIVersion: "v1", Kind: "Node", Name: "node-1"}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		wfe.Spec.Steps = append(wfe.Spec.Steps, wfev1.Step{Name: name, Approval: &wfev1.ApprovalRequest{}})
	}
	if err := w.admin.Create(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	w.mustReport(wfe, wfev1.PhaseAwaitingApproval, awaiting, awaiting, awaiting)
	w.run("approve", "many").check(w.t, 1, `error: "many" waits for more than one decision; name one of ["a" "b" "c"]`)
	results := make([]result, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { results[i] = w.run("approve", "many", name) })
	}
	group.Wait()
	for _, r := range results {
		r.check(w.t, 0, "")
	}
	if n := len(w.now("many").Spec.Approvals); n != len(names) {
		w.t.Errorf("%d decisions", n)
	}
}

func testSteer(w *world) {
	wfe := w.sample("steer")
	w.mustReport(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.run("resume", "steer").check(w.t, 0, "", `"steer" is not suspended`)
	w.run("suspend", "steer").check(w.t, 0, "", `"steer" is suspended`)
	if !w.now("steer").Spec.Suspended {
		w.t.Error("it is not suspended")
	}
	w.run("suspend", "steer").check(w.t, 0, "", "is suspended already")
	w.run("resume", "steer").check(w.t, 0, "", `"steer" goes on`)
	if w.now("steer").Spec.Suspended {
		w.t.Error("it is suspended")
	}
	w.run("cancel", "steer").check(w.t, 0, "", "what is done is rolled back")
	w.run("cancel", "steer").check(w.t, 0, "", "is being cancelled already")
	if got := w.now("steer").Spec.Cancel; got != wfev1.CancelStop {
		w.t.Errorf("cancel is %q", got)
	}
	w.run("cancel", "steer", "--terminate").check(w.t, 0, "", "is terminated")
	if got := w.now("steer").Spec.Cancel; got != wfev1.CancelTerminate {
		w.t.Errorf("cancel is %q", got)
	}
	w.run("cancel", "steer").check(w.t, 0, "", "is being cancelled already")
	w.mustReport(w.now("steer"), wfev1.PhaseCancelled, wfev1.StepCancelled)
	for _, command := range []string{"cancel", "suspend", "resume"} {
		w.run(command, "steer").check(w.t, 1, `error: "steer" has ended: it is Cancelled`)
	}

	w.mustReport(w.sample("undoing"), wfev1.PhaseRollingBack, wfev1.StepFailed)
	w.run("cancel", "undoing").check(w.t, 0, "", "is being rolled back already; --terminate stops that")
	if got := w.now("undoing").Spec.Cancel; got != wfev1.CancelNone {
		w.t.Errorf("cancel is %q", got)
	}
}

func testRetry(w *world) {
	wfe := w.sample("bad")
	w.run("retry", "bad").check(w.t, 1, `error: "bad" was not seen by the controller yet`)
	w.mustReport(wfe, wfev1.PhaseFailed, completed, completed, wfev1.StepFailed)

	printed := w.run("retry", "bad", "--dry-run=client", "-o", "yaml")
	printed.check(w.t, 0, "note: done and left out: scale-up, ask")
	w.run("retry", "bad", "--dry-run=server").check(w.t, 0, "note: done", "workflowexecution/bad-retry-1 created (server dry run) with 2 of 4 steps")
	w.run("retry", "bad", "--dry-run=maybe").check(w.t, 1, "error: --dry-run=maybe: use none, client or server")
	w.run("get", "bad-retry-1").check(w.t, 1, "there is no WorkflowExecution")

	w.run("retry", "bad").check(w.t, 0, "note: done", "workflowexecution/bad-retry-1 created with 2 of 4 steps")
	got, want := w.now("bad-retry-1"), &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(printed.out), want); err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
		w.t.Errorf("what is created is not what was printed (-printed +created):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"alert": "oom", wfev1.LabelRetryOf: "bad"}, got.Labels); diff != "" {
		w.t.Errorf("labels (-want +got):\n%s", diff)
	}
	last := got.Spec.Steps[len(got.Spec.Steps)-1]
	if value := last.Parameters[1].Value; value == nil || *value != "2" || len(got.Spec.Steps[0].DependsOn) != 0 {
		w.t.Errorf("the steps are %+v", got.Spec.Steps)
	}
	w.run("retry", "bad").check(w.t, 1, `error: "bad-retry-1" exists: retry that one, or choose another name with --name`)
	w.run("retry", "bad", "--name", "again", "-o", "json").check(w.t, 0, "note: done", `"name": "again"`, `"kind": "WorkflowExecution"`)
	w.run("retry", "bad", "--name", "Not A Name").check(w.t, 1, "error: the new execution could not run: metadata.name")
	if described := w.run("describe", "again"); !strings.Contains(described.out, "Retry of:") {
		w.t.Errorf("the description does not tell what is retried:\n%s", described.out)
	}
}

// testRetryByAnEditor retries as somebody who may work in the namespace and read nothing of the cluster.
func testRetryByAnEditor(w *world) {
	w.mustReport(w.sample("mine"), wfev1.PhaseFailed, completed, completed, wfev1.StepFailed)
	objects, err := testutil.ReadManifests("../../../../config/rbac/user_roles.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, object := range objects {
		if err := w.admin.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.admin.Create(w.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "erin", Namespace: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "workflowexecution-editor"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "erin"}},
	}); err != nil {
		w.t.Fatal(err)
	}
	w.run("retry", "mine", "--as", "erin").check(w.t, 0, "note: you may not read the cluster's catalog", "workflowexecution/mine-retry-1 created with 2 of 4 steps")
	w.run("actions", "--as", "erin").check(w.t, 1, `User "erin" cannot list resource "clusterworkflowtemplates"`)
	w.run("get", "-A", "--as", "erin").check(w.t, 1, `User "erin" cannot list resource "workflowexecutions"`)
}
