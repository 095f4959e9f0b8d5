package controllers_test

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// grantRoles grants a user the Roles of a manifest of config/namespaced in a namespace.
func grantRoles(user, namespace, manifest string) {
	GinkgoHelper()
	root, err := testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "namespaced", manifest))
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		if object.GetKind() != "Role" {
			continue
		}
		object.SetNamespace(namespace)
		Expect(admin.Create(ctx, object)).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: object.GetName()},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: object.GetName()},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		})).To(Succeed())
	}
}

// moveCatalog creates the suite's actions as WorkflowTemplates in a namespace.
func moveCatalog(namespace string) {
	GinkgoHelper()
	for _, t := range templates() {
		moved := &wfv1.WorkflowTemplate{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
		moved.Namespace = namespace
		Expect(admin.Create(ctx, moved)).To(Succeed())
	}
}

var _ = Describe("A controller of some namespaces with only the Roles of config/namespaced", func() {
	var catalog string

	BeforeEach(func() {
		clusterwide := controllerConfig
		DeferCleanup(func() {
			withNewLeader(func() { namespaces, catalogNamespace, controllerConfig = nil, "", clusterwide })
		})
		withNewLeader(func() {
			catalog = newNamespace()
			moveCatalog(catalog)
			const user = "controller-of-some-namespaces"
			grantRoles(user, ns, filepath.Join("namespace", "role.yaml"))
			grantRoles(user, catalog, filepath.Join("catalog", "role.yaml"))
			controllerConfig = rest.CopyConfig(adminConfig)
			controllerConfig.Impersonate = rest.ImpersonationConfig{UserName: user}
			namespaces, catalogNamespace = []string{ns}, catalog
		})
	})

	It("completes executions there, including rollbacks and events", func() {
		undo := step("a")
		undo.Rollback = &wfev1.Rollback{Action: undoIt, Parameters: []wfev1.Parameter{value("object", "x")}}
		wfe := start(execution("ours", undo, step("b", "a")))
		argoOf(wfe).write(run("a"), succeed("a"), run("b"))
		argoOf(wfe).write(fail("b", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Eventually(eventsOf(wfe)).Should(ContainElement(ContainSubstring("StepFailed")))
		complete(start(execution("another", step("a"))))
	})

	It("uses the actions of the catalog's namespace", func() {
		Expect(imageOf(start(execution("catalog", step("a"))))).To(Equal("example.invalid/action:v1"))
	})

	It("uses no action of the cluster", func() {
		extra := template("everywhere", nil)
		Expect(admin.Create(ctx, extra)).To(Succeed())
		DeferCleanup(func() { Expect(admin.Delete(ctx, extra)).To(Succeed()) })
		expectRefused(create(execution("cluster", calling(with(step("a")), "everywhere"))), wfev1.ReasonUnknownAction, "a", `"everywhere"`)
	})

	It("uses no action of the execution's namespace", func() {
		local("ours", "example.invalid/ours:v1")
		expectRefused(create(execution("local", calling(with(step("a")), "ours"))), wfev1.ReasonUnknownAction, "a", `"ours"`)
	})

	It("ignores other namespaces", func() {
		other := execution("theirs", step("a"))
		other.Namespace = newNamespace()
		create(other)
		complete(start(execution("ours", step("a"))))
		Consistently(phaseOf(other)).Should(BeEmpty())
	})

	It("keeps its locks across a change of leader", func() {
		api := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("second", step("a"))))
		waitsFor(second, first)
		withNewLeader(func() {})
		triggerReconcile(second)
		waitsFor(second, first)
		complete(first)
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseRunning))
	})
})
