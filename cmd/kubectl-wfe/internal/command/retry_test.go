package command

import (
	"strings"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

func testRetry(w *testCluster) {
	wfe := w.createSample("bad")
	w.run("retry", "bad").check(w.t, 1, `error: "bad" has no status yet: the controller has not processed it`)
	w.mustWriteStatus(wfe, wfev1.PhaseFailed, completed, completed, wfev1.StepFailed)

	printed := w.run("retry", "bad", "--dry-run=client", "-o", "yaml")
	printed.check(w.t, 0, "note: done and left out: scale-up, ask")
	w.run("retry", "bad", "--dry-run=server").check(w.t, 0, "note: done", "workflowexecution/bad-retry-1 created (server dry run) with 2 of 4 steps")
	w.run("retry", "bad", "--dry-run=maybe").check(w.t, 1, `error: invalid --dry-run value "maybe": must be none, client or server`)
	w.run("get", "bad-retry-1").check(w.t, 1, "not found in namespace")

	w.run("retry", "bad").check(w.t, 0, "note: done", "workflowexecution/bad-retry-1 created with 2 of 4 steps")
	got, want := w.execution("bad-retry-1"), &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(printed.out), want); err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
		w.t.Errorf("the created specification differs from the printed one (-printed +created):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"alert": "oom", wfev1.LabelRetryOf: "bad"}, got.Labels); diff != "" {
		w.t.Errorf("labels (-want +got):\n%s", diff)
	}
	last := got.Spec.Steps[len(got.Spec.Steps)-1]
	if value := last.Parameters[1].Value; value == nil || *value != "2" || len(got.Spec.Steps[0].DependsOn) != 0 {
		w.t.Errorf("the steps are %+v", got.Spec.Steps)
	}
	w.run("retry", "bad").check(w.t, 1, `error: "bad-retry-1" already exists: retry that execution, or set another name with --name`)
	w.run("retry", "bad", "--name", "again", "-o", "json").check(w.t, 0, "note: done", `"name": "again"`, `"kind": "WorkflowExecution"`)
	w.run("retry", "bad", "--name", "Not A Name").check(w.t, 1, "error: the new execution is invalid: metadata.name")
	if described := w.run("describe", "again"); !strings.Contains(described.out, "Retry of:") {
		w.t.Errorf("describe does not show the retried execution:\n%s", described.out)
	}
}

// testRetryByAnEditor retries as a user with the editor role in one namespace and no cluster permissions.
func testRetryByAnEditor(w *testCluster) {
	w.mustWriteStatus(w.createSample("mine"), wfev1.PhaseFailed, completed, completed, wfev1.StepFailed)
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
	w.run("retry", "mine", "--as", "erin").check(w.t, 0, "note: no permission to list the cluster's actions", "workflowexecution/mine-retry-1 created with 2 of 4 steps")
	w.run("actions", "--as", "erin").check(w.t, 1, `User "erin" cannot list resource "clusterworkflowtemplates"`)
	w.run("get", "-A", "--as", "erin").check(w.t, 1, `User "erin" cannot list resource "workflowexecutions"`)
}
