package policy

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// rulesOf are the rules of the Roles and ClusterRoles of manifests.
func rulesOf(t *testing.T, paths ...string) []rbacv1.PolicyRule {
	t.Helper()
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Join(root, "config", paths[i])
	}
	objects, err := testutil.ReadManifests(paths...)
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for _, object := range objects {
		var role rbacv1.ClusterRole // a Role has the same fields
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		rules = append(rules, role.Rules...)
	}
	if len(rules) == 0 {
		t.Fatalf("no rules in %v", paths)
	}
	return rules
}

// TestControllerRights checks that the controller's rights cannot be used to escalate privileges. The suite of package
// controllers checks in the API server's audit log that it needs all of them.
func TestControllerRights(t *testing.T) {
	clusterwide := rulesOf(t, "rbac/role.yaml")
	inNamespaces := rulesOf(t, "namespaced/namespace/role.yaml", "namespaced/catalog/role.yaml")
	for where, rules := range map[string][]rbacv1.PolicyRule{"cluster": clusterwide, "namespaces": inNamespaces, "lease": rulesOf(t, "rbac/leader_election.yaml")} {
		for _, right := range controlplane.Rights(rules...) {
			verb, resource, _ := strings.Cut(right, " ")
			switch {
			case strings.Contains(right, "*"):
				t.Errorf("%s: %q is a wildcard", where, right)
			case slices.Contains([]string{"escalate", "bind", "impersonate", "use", "approve"}, verb):
				t.Errorf("%s: %q delegates rights", where, right)
			case strings.HasPrefix(resource, "secrets"), strings.HasPrefix(resource, "rbac.authorization.k8s.io/"), strings.HasPrefix(resource, "serviceaccounts/"):
				t.Errorf("%s: %q gives access to credentials or roles", where, right)
			case strings.HasPrefix(resource, "pods") && right != "delete pods" && right != "list pods":
				t.Errorf("%s: %q: the controller may only list and delete pods", where, right)
			}
		}
	}
	all := controlplane.Rights(clusterwide...)
	for _, right := range controlplane.Rights(inNamespaces...) {
		if !slices.Contains(all, right) {
			t.Errorf("%q is a right in a namespaced installation and not in a cluster-wide one", right)
		}
	}
}

// TestUserRights checks that the user roles are separated.
func TestUserRights(t *testing.T) {
	people := controlplane.Rights(rulesOf(t, "rbac/user_roles.yaml")...)
	for _, right := range people {
		if strings.Contains(right, "*") || strings.Contains(right, "argoproj.io/workflows") || strings.HasPrefix(right, "patch workflowexecution.kubernaut.io/workflowexecutions/") {
			t.Errorf("%q must not be in a user role", right)
		}
	}
	approvers := 0
	for _, rule := range rulesOf(t, "rbac/user_roles.yaml") {
		if slices.Contains(rule.Verbs, "approve") {
			approvers++
			if slices.Contains(rule.Verbs, "create") {
				t.Error("a role that approves must not create executions")
			}
		}
	}
	if approvers != 1 {
		t.Errorf("%d roles approve, want 1", approvers)
	}
}
