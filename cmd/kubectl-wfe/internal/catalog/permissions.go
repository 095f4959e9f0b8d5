package catalog

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/config/actions"
)

// StepRole is the ClusterRole that the service account of every step needs.
const StepRole = "workflowexecution-step"

// Role is the ClusterRole of a built-in action, and how to undo the action.
type Role struct {
	Name  string
	Rules []rbacv1.PolicyRule
	// IsClusterScoped is true when a RoleBinding does not suffice, because a rule is about a cluster-scoped resource.
	IsClusterScoped bool
	// Undo is the documented way to undo the action.
	Undo string
}

// Binding returns the kind of binding that the role needs.
func (r *Role) Binding() string {
	if r.IsClusterScoped {
		return "ClusterRoleBinding"
	}
	return "RoleBinding"
}

// clusterScoped are the cluster-scoped resources in the rules of the built-in actions.
var clusterScoped = []string{"nodes", "namespaces", "persistentvolumes"}

// undoRow matches an action in the table of the catalog's documentation.
var undoRow = regexp.MustCompile(`(?m)^\| \[([a-z-]+)\]\(#[a-z-]+\) \| (.+) \|$`)

// BuiltInRoles returns the roles of the built-in actions by action, and the role of every step by an empty name.
func BuiltInRoles() (map[string]Role, error) {
	files, err := fs.Glob(actions.Files, "rbac/*.yaml")
	if err != nil {
		return nil, err
	}
	documentation, err := fs.ReadFile(actions.Files, "README.md")
	if err != nil {
		return nil, err
	}
	undo := map[string]string{}
	for _, match := range undoRow.FindAllStringSubmatch(string(documentation), -1) {
		undo[match[1]] = match[2]
	}
	roles := map[string]Role{}
	for _, file := range files {
		content, err := fs.ReadFile(actions.Files, file)
		if err != nil {
			return nil, err
		}
		var object rbacv1.ClusterRole
		if err := yaml.Unmarshal(content, &object); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		action := object.Labels[wfev1.LabelAction]
		if object.Kind != "ClusterRole" || action == "" && object.Name != StepRole {
			continue
		}
		roles[action] = Role{
			Name: object.Name, Rules: object.Rules, Undo: undo[action],
			IsClusterScoped: slices.ContainsFunc(object.Rules, func(rule rbacv1.PolicyRule) bool {
				return slices.ContainsFunc(rule.Resources, func(resource string) bool { return slices.Contains(clusterScoped, resource) })
			}),
		}
	}
	return roles, nil
}
