package command

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const submittable = `
apiVersion: workflowexecution.kubernaut.io/v1alpha1
kind: WorkflowExecution
metadata: {name: submitted, labels: {alert: oom}, resourceVersion: "7", uid: from-another-cluster}
spec:
  target: {apiVersion: apps/v1, kind: Deployment, name: payment-api}
  steps:
  - name: restart
    action: restart-deployment
    parameters: [{name: deployment, value: payment-api}]
status: {phase: Completed}
`

func testSubmit(w *testCluster) {
	wrong := strings.Replace(submittable, "restart-deployment", "restart-deploymnet", 1)
	w.runIn(w.t.Context(), wrong, "submit", "-f", "-").
		check(w.t, 1, `-:9: submitted: step "restart": action: action "restart-deploymnet" is not in the catalog; did you mean "restart-deployment"?`)
	w.run("get", "submitted").check(w.t, 1, "not found in namespace")

	file := write(w.t, "submitted.yaml", submittable)
	w.run("submit", "-f", file, "--dry-run").check(w.t, 0, "", "workflowexecution/submitted created (server dry run)")
	w.run("submit", file, "--dry-run=client", "-o", "yaml").check(w.t, 0, "", "name: submitted", "namespace: "+w.namespace)
	w.run("submit", file, "--dry-run", "--watch").check(w.t, 1, "error: --watch and --dry-run exclude each other")
	w.run("get", "submitted").check(w.t, 1, "not found in namespace")

	w.run("submit", file).check(w.t, 0, "", "workflowexecution/submitted created")
	got := w.execution("submitted")
	if got.Status.Phase != "" || got.Labels["alert"] != "oom" {
		w.t.Errorf("the new execution is %+v", got)
	}
	w.run("submit", file).check(w.t, 1, `error: "submitted" already exists in namespace "`+w.namespace+`", and an execution runs only once: run it again with kubectl wfe rerun submitted`)
	elsewhere := write(w.t, "elsewhere.yaml", strings.Replace(submittable, "name: submitted,", "name: submitted, namespace: elsewhere,", 1))
	w.run("submit", "-f", elsewhere).check(w.t, 1, `error: the file sets namespace "elsewhere" for "submitted", but --namespace is "`+w.namespace+`"`)
	w.run("submit", "-f", samples, "--catalog", samples+"actions", "--watch").check(w.t, 1, "error: --watch follows a single execution, and the files have")

	generated := write(w.t, "generated.yaml", strings.Replace(submittable, "name: submitted,", "generateName: alert-,", 1))
	w.run("submit", "-f", generated).check(w.t, 0, "", "workflowexecution/alert-")
	w.run("submit").check(w.t, 1, "error: must specify a file with -f FILE")
}

// testSubmitAndWatch verifies that the exit code of --watch is the outcome of the execution.
func testSubmitAndWatch(w *testCluster) {
	file := write(w.t, "submitted.yaml", submittable)
	done := make(chan result, 1)
	go func() { done <- w.run("submit", "-f", file, "--watch") }()
	w.eventually("the execution is created", func() bool { return w.run("get", "submitted").code == 0 })
	w.mustWriteStatus(w.execution("submitted"), wfev1.PhaseFailed, wfev1.StepFailed)
	select {
	case got := <-done:
		got.check(w.t, exitFailed, "", "workflowexecution/submitted created", "submitted  Failed  1/1")
	case <-time.After(testTimeout):
		w.t.Fatal("submit --watch does not exit")
	}
}

func testRerun(w *testCluster) {
	wfe := w.createSample("again")
	wfe.Spec.Suspended = true
	wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol"}}
	if err := w.admin.Update(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	printed := w.run("rerun", "again", "--dry-run=client", "-o", "yaml")
	printed.check(w.t, 0, `note: "again" is `)
	w.run("get", "again-rerun-1").check(w.t, 1, "not found in namespace")
	w.mustWriteStatus(wfe, wfev1.PhaseCompleted, completed, completed, completed, completed)

	w.run("rerun", "again").check(w.t, 0, "", "workflowexecution/again-rerun-1 created")
	got, want := w.execution("again-rerun-1"), &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(printed.out), want); err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
		w.t.Errorf("the created specification differs from the printed one (-printed +created):\n%s", diff)
	}
	if got.Spec.Suspended || len(got.Spec.Approvals) > 0 || len(got.Spec.Steps) != len(wfe.Spec.Steps) || got.Labels["alert"] != "oom" {
		w.t.Errorf("the new execution is %+v", got)
	}
	w.run("rerun", "again").check(w.t, 1, `error: "again-rerun-1" already exists: set another name with --name`)
	w.run("rerun", "again-rerun-1", "--dry-run=client").check(w.t, 0, "note: ", "workflowexecution/again-rerun-2 created (dry run)")
	w.run("rerun", "again", "--name", "third").check(w.t, 0, "", "workflowexecution/third created")
}

// testLatest verifies that @latest is the newest execution in the namespace, also in the messages.
func testLatest(w *testCluster) {
	w.run("tree", "@latest").check(w.t, 1, `error: no executions found in namespace "`+w.namespace+`"`)
	w.run("approve", "@latest").check(w.t, 1, `error: no executions found in namespace "`+w.namespace+`"`)
	old := w.createSample("old")
	newer := w.createNewer(old, "newer")
	w.mustWriteStatus(newer, wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.run("tree", "@latest").check(w.t, 0, "", "newer  AwaitingApproval")
	w.run("get", "@latest", "-o", "yaml").check(w.t, 0, "", "name: newer", "kind: WorkflowExecution")
	w.run("approve", "@latest").check(w.t, 0, "", `step "ask" of "newer" is approved`)
	w.run("cancel", "@latest").check(w.t, 0, "", `"newer" is cancelled`)
}

func TestNoExecution(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want string }{
		"Empty":      {"", "error: no WorkflowExecution found in standard input: it contains no objects"},
		"OtherKinds": {"kind: Service\n---\nkind: List\nitems: [{kind: Deployment}, {kind: Service}]\n", "error: no WorkflowExecution found in standard input: it contains Deployment, Service"},
		"SimilarKind": {
			strings.Replace(submittable, "kind: WorkflowExecution", "kind: WorkflowExecutoin", 1),
			`error: no WorkflowExecution found in standard input: it contains kind "WorkflowExecutoin"; did you mean "WorkflowExecution"?`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t.Context(), test.in, "lint", "-").check(t, 1, test.want)
		})
	}
	run(t.Context(), "", "lint", samples+"remediate.yaml").check(t, 0, "", "payment-api-oom: no problems")
	other := write(t, "other-file.yaml", "kind: Service\n")
	run(t.Context(), "", "lint", other).check(t, 1, "other-file.yaml: it contains Service")
}
