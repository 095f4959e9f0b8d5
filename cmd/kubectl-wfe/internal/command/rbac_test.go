package command

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const draining = `
apiVersion: workflowexecution.kubernaut.io/v1alpha1
kind: WorkflowExecution
metadata: {name: drain}
spec:
  target: {apiVersion: v1, kind: Node, name: worker-1}
  serviceAccountName: remediation
  steps:
  - {name: cordon, action: cordon-node, parameters: [{name: node, value: worker-1}], rollback: {action: uncordon-node, parameters: [{name: node, value: worker-1}]}}
  - {name: ask, approval: {}, dependsOn: [cordon]}
  - {name: restart, action: restart-deployment, dependsOn: [ask], parameters: [{name: deployment, value: payment-api}]}
`

func TestRBAC(t *testing.T) {
	t.Parallel()
	got := run(t.Context(), draining, "rbac", "-n", "production", "-f", "-")
	got.check(t, 0, "",
		"kind: ServiceAccount\nmetadata:\n  name: remediation\n  namespace: production\n",
		"kind: RoleBinding\nmetadata:\n  name: remediation-step\n  namespace: production\n",
		"kind: ClusterRoleBinding\nmetadata:\n  name: production-remediation-cordon-node\n",
		"name: production-remediation-uncordon-node\n",
		"kind: RoleBinding\nmetadata:\n  name: remediation-restart-deployment\n  namespace: production\n",
		"name: workflowexecution-action-restart-deployment\n",
	)
	if n := strings.Count(got.out, "---\n"); n != 4 {
		t.Errorf("%d separators:\n%s", n, got.out)
	}
	own := filepath.Dir(write(t, "own.yaml", ownAction))
	run(t.Context(), ownExecution, "rbac", "-n", "production", "-f", "-", "--catalog", own).
		check(t, 0, `note: action "own" is not built in: bind its role to service account "default" in namespace "production" yourself`, "name: default-step\n")
	run(t.Context(), "", "rbac").check(t, 1, "error: must specify either the NAME of an execution or a file with -f")
}

// testRBAC verifies that --check reports what is missing, and nothing after the printed objects are created.
func testRBAC(w *testCluster) {
	file := write(w.t, "drain.yaml", draining)
	w.run("rbac", "-f", file, "--check").check(w.t, 1, "note: kubectl wfe rbac without --check prints the objects to create",
		`missing: service account "remediation" in namespace "`+w.namespace+`"`,
		"create workflowtaskresults", "; bind ClusterRole workflowexecution-step with a RoleBinding",
		"patch nodes", "; bind ClusterRole workflowexecution-action-cordon-node with a ClusterRoleBinding",
		"patch deployments", "; bind ClusterRole workflowexecution-action-restart-deployment with a RoleBinding")
	printed := w.run("rbac", "-f", file)
	printed.check(w.t, 0, "")
	roles, err := filepath.Glob("../../../../config/actions/rbac/*-*.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	step := filepath.Join("../../../../config/actions/rbac", "step.yaml")
	objects, err := testutil.ReadManifests(append(roles, step, write(w.t, "rbac.yaml", printed.out))...)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, object := range objects {
		if err := w.admin.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
	}
	w.eventually("the permissions are complete", func() bool { return w.run("rbac", "-f", file, "--check").code == 0 })
	w.run("rbac", "-f", file, "--check").check(w.t, 0, "", "no permissions are missing")
	w.createSample("existing")
	w.run("rbac", "existing", "--check").check(w.t, 1, "note: ", `missing for service account "default"`, "update deployments/scale")
}
