package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
)

func (s *session) newRBAC() *cobra.Command {
	var check bool
	var defaultAccount string
	cmd := &cobra.Command{
		Use:     "rbac NAME | -f FILE",
		GroupID: groupInspect,
		Short:   "Print or check the permissions that an execution's steps need",
		Long: `Prints the ServiceAccount and the bindings that the steps and rollbacks of executions need, for the roles of the built-in
actions. --check lists which of these permissions are missing in the cluster; the exit code is 1 if there are any. It requires
the permission to create SubjectAccessReviews.`,
		Example: examples("kubectl wfe rbac -f remediation.yaml | kubectl apply -f -", "kubectl wfe rbac -f remediation.yaml --check",
			"kubectl wfe rbac payment-api-oom --check"),
		Args:              optionalArguments(1),
		ValidArgsFunction: s.executions(nil),
	}
	f := s.newManifests(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, formatYAML, formatYAML, formatJSON)
	cmd.Flags().BoolVar(&check, "check", false, "List the permissions that are missing in the cluster.")
	cmd.Flags().StringVar(&defaultAccount, "default-service-account", "default", "Service account of executions without one. Must match the controller's flag.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		executions, err := s.fromManifestsOrCluster(cmd, f, args, f.catalog)
		if err != nil {
			return err
		}
		roles, err := catalog.BuiltInRoles()
		if err != nil {
			return err
		}
		accounts, err := s.accountsOf(executions, roles, defaultAccount)
		if err != nil {
			return err
		}
		if check {
			return s.checkAccounts(cmd.Context(), accounts)
		}
		for _, a := range accounts {
			for _, object := range a.objects() {
				if err := o.print(object, s.Streams.Out); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return cmd
}

// account is a service account and the actions whose roles it needs.
type account struct {
	namespace, name string
	actions         []string
	roles           map[string]catalog.Role
}

// accountsOf returns the service accounts of executions, sorted, and warns of actions without a known role.
func (s *session) accountsOf(executions []*wfev1.WorkflowExecution, roles map[string]catalog.Role, defaultAccount string) ([]*account, error) {
	namespace, _, err := s.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	var accounts []*account
	for _, wfe := range executions {
		a := &account{namespace: cmp.Or(wfe.Namespace, namespace), name: cmp.Or(wfe.Spec.ServiceAccountName, defaultAccount), roles: roles}
		if i := slices.IndexFunc(accounts, func(other *account) bool { return other.namespace == a.namespace && other.name == a.name }); i >= 0 {
			a = accounts[i]
		} else {
			accounts = append(accounts, a)
		}
		for i := range wfe.Spec.Steps {
			step := &wfe.Spec.Steps[i]
			a.add(s, step.Action)
			if step.Rollback != nil {
				a.add(s, step.Rollback.Action)
			}
		}
	}
	slices.SortFunc(accounts, func(a, b *account) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return accounts, nil
}

func (a *account) add(s *session, action string) {
	if action == "" || slices.Contains(a.actions, action) {
		return
	}
	if _, known := a.roles[action]; !known {
		s.warn("action %q is not built in: bind its role to service account %q in namespace %q yourself", action, a.name, a.namespace)
		return
	}
	a.actions = append(a.actions, action)
	slices.Sort(a.actions)
}

// objects returns the account and the bindings of its roles. A role without rules needs no binding.
func (a *account) objects() []runtime.Object {
	var objects []runtime.Object
	if a.name != "default" { // every namespace has it
		objects = append(objects, &corev1.ServiceAccount{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: a.name},
		})
	}
	objects = append(objects, a.binding("step", a.roles[""]))
	for _, action := range a.actions {
		if role := a.roles[action]; len(role.Rules) > 0 {
			objects = append(objects, a.binding(action, role))
		}
	}
	return objects
}

func (a *account) binding(suffix string, role catalog.Role) runtime.Object {
	kind := metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: role.Binding()}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: a.name, Namespace: a.namespace}}
	if role.IsClusterScoped {
		return &rbacv1.ClusterRoleBinding{
			TypeMeta: kind, ObjectMeta: metav1.ObjectMeta{Name: a.namespace + "-" + a.name + "-" + suffix}, RoleRef: reference, Subjects: subjects,
		}
	}
	return &rbacv1.RoleBinding{
		TypeMeta: kind, ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: a.name + "-" + suffix}, RoleRef: reference, Subjects: subjects,
	}
}

// checkAccounts prints the missing accounts and permissions.
func (s *session) checkAccounts(ctx context.Context, accounts []*account) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	missing := 0
	for _, a := range accounts {
		_, err := c.kube.CoreV1().ServiceAccounts(a.namespace).Get(ctx, a.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			missing++
			s.printLine("missing: service account %q in namespace %q", a.name, a.namespace)
		case err != nil:
			return err
		}
		for _, action := range slices.Concat([]string{""}, a.actions) {
			denied, err := c.denied(ctx, a, a.roles[action])
			if err != nil {
				return err
			}
			if len(denied) > 0 {
				missing++
				role := a.roles[action]
				s.printLine("missing for service account %q in namespace %q: %s; bind ClusterRole %s with a %s",
					a.name, a.namespace, strings.Join(denied, ", "), role.Name, role.Binding())
			}
		}
	}
	if missing > 0 {
		s.warn("kubectl wfe rbac without --check prints the objects to create")
		return &codeError{code: exitError}
	}
	s.printLine("no permissions are missing")
	return nil
}

// denied returns the permissions of a role that an account does not have, as verb and resource.
func (c *connection) denied(ctx context.Context, a *account, role catalog.Role) ([]string, error) {
	namespace := a.namespace
	if role.IsClusterScoped {
		namespace = metav1.NamespaceAll
	}
	var denied []string
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			name, subresource, _ := strings.Cut(resource, "/")
			for _, verb := range rule.Verbs {
				attributes := &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: verb, Group: rule.APIGroups[0], Resource: name, Subresource: subresource,
				}
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
					ResourceAttributes: attributes, User: "system:serviceaccount:" + a.namespace + ":" + a.name,
					Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + a.namespace, "system:authenticated"},
				}}
				answer, err := c.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
				if err != nil {
					return nil, fmt.Errorf("check %s %s: %w", verb, resource, err)
				}
				if !answer.Status.Allowed {
					denied = append(denied, verb+" "+resource)
				}
			}
		}
	}
	return denied, nil
}
