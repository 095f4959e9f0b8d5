package policy

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	team = "team"
	// patience is the timeout for the API server to enforce a new policy.
	patience = 30 * time.Second

	controller = "system:serviceaccount:workflowexecution-system:controller"
	argo       = "system:serviceaccount:argo:argo"
	otherArgo  = "system:serviceaccount:other:argo"
	collector  = "system:serviceaccount:kube-system:generic-garbage-collector"
)

// apiServer is an API server with users. Alice may create executions and use one service account, mallory may only create
// executions, carol may approve, dave may do both, and eve may write all of Argo's Workflows.
type apiServer struct {
	admin  client.Client
	config *rest.Config
	root   string
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	plane, err := controlplane.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	if err := plane.InstallArgo(testutil.Minimal); err != nil {
		t.Fatal(err)
	}
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{admin: plane.Admin, config: plane.Config, root: root}
	s.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}})
	s.install(t, "config/rbac/user_roles.yaml")
	everything := rbacv1.PolicyRule{APIGroups: []string{"argoproj.io"}, Resources: []string{"workflows"}, Verbs: []string{"*"}}
	status := rbacv1.PolicyRule{APIGroups: []string{wfev1.GroupVersion.Group}, Resources: []string{"workflowexecutions", "workflowexecutions/status"}, Verbs: []string{"*"}}
	use := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"use"}, ResourceNames: []string{"remediation"}}
	for name, rule := range map[string]rbacv1.PolicyRule{"workflows": everything, "status": status, "use-remediation": use} {
		s.create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}})
	}
	for role, users := range map[string][]string{
		"workflowexecution-editor":   {"alice", "mallory", "dave"},
		"workflowexecution-approver": {"carol", "dave"},
		"use-remediation":            {"alice"},
		"workflows":                  {"eve", argo, otherArgo, collector},
		"status":                     {"eve"},
		// The control plane grants the controller its role under another name. Policies identify it by its service account.
		"workflowexecution-controller": {controller},
	} {
		for _, user := range users {
			s.create(t, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: team, GenerateName: role + "-"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
			})
		}
	}
	return s
}

func (s *apiServer) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := s.admin.Create(t.Context(), object); err != nil {
		t.Fatalf("create %T %s: %v", object, object.GetName(), err)
	}
}

// install creates the objects of the repository's manifests.
func (s *apiServer) install(t *testing.T, pattern string) {
	t.Helper()
	for _, object := range s.read(t, pattern) {
		s.create(t, object)
	}
}

// uninstall deletes the objects of the repository's manifests.
func (s *apiServer) uninstall(t *testing.T, pattern string) {
	t.Helper()
	for _, object := range s.read(t, pattern) {
		if err := s.admin.Delete(t.Context(), object); err != nil {
			t.Fatalf("delete %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

func (s *apiServer) read(t *testing.T, pattern string) []*unstructured.Unstructured {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.root, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	objects, err := testutil.ReadManifests(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Kustomization" })
}

// as is a client that impersonates a user.
func (s *apiServer) as(t *testing.T, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: s.admin.Scheme(), Mapper: s.admin.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitRefusal repeats a dry run of an attempt until the API server refuses it.
func (s *apiServer) awaitRefusal(t *testing.T, a attempt) {
	t.Helper()
	s.await(t, a, "is never refused", apierrors.IsForbidden)
}

// awaitPermission repeats a dry run of an attempt until the API server allows it.
func (s *apiServer) awaitPermission(t *testing.T, a attempt) {
	t.Helper()
	s.await(t, a, "is always refused", func(err error) bool { return err == nil })
}

func (s *apiServer) await(t *testing.T, a attempt, complaint string, done func(error) bool) {
	t.Helper()
	var last error
	dry := client.NewDryRunClient(s.as(t, a.as))
	if wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = a.do(ctx, dry)
		return done(last), nil
	}) != nil {
		t.Errorf("%s %s: %v", a.as, complaint, last)
	}
}

// execution is an execution with two approvals.
func execution(name string, mutate ...func(*wfev1.WorkflowExecutionSpec)) *wfev1.WorkflowExecution {
	wfe := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"},
			Steps: []wfev1.Step{
				{Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "Restart?"}},
				{Name: "ask-again", Approval: &wfev1.ApprovalRequest{Message: "Continue?"}},
			},
		},
	}
	for _, m := range mutate {
		m(&wfe.Spec)
	}
	return wfe
}

func under(account string) func(*wfev1.WorkflowExecutionSpec) {
	return func(spec *wfev1.WorkflowExecutionSpec) { spec.ServiceAccountName = account }
}

// approved adds an approval.
func approved(step, by string) func(*wfev1.WorkflowExecutionSpec) {
	return func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = append(spec.Approvals, wfev1.Approval{Step: step, Approved: true, By: by})
	}
}

func dry(spec *wfev1.WorkflowExecutionSpec) { spec.DryRun = true }

func suspended(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true }

// workflow is a Workflow that waits for an approval.
func workflow(name string, mutate ...func(*metav1.ObjectMeta)) *wfv1.Workflow {
	wf := &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name},
		Spec:       wfv1.WorkflowSpec{Entrypoint: "main", Templates: []wfv1.Template{{Name: "main", Suspend: &wfv1.SuspendTemplate{}}}},
	}
	for _, m := range mutate {
		m(&wf.ObjectMeta)
	}
	return wf
}

func labelled(object *metav1.ObjectMeta) {
	metav1.SetMetaDataLabel(object, wfev1.LabelRole, wfev1.RoleMain)
	object.Finalizers = []string{wfev1.FinalizerObserved}
}

func owned(object *metav1.ObjectMeta) {
	object.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: wfev1.GroupVersion.String(), Kind: wfev1.Kind, Name: "asks", UID: "0d0c7a52-3b5e-4a53-9f7c-0c7a52b5e4a5",
	}}
}
