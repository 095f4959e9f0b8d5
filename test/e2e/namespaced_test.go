package e2e

import (
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// removeClusterRoles deletes the controller's ClusterRoleBindings until the spec ends.
func removeClusterRoles(ctx SpecContext) {
	GinkgoHelper()
	bindings := &rbacv1.ClusterRoleBindingList{}
	Expect(cluster.List(ctx, bindings)).To(Succeed())
	removed := 0
	for i := range bindings.Items {
		binding := &bindings.Items[i]
		if !slices.ContainsFunc(binding.Subjects, isController) {
			continue
		}
		removed++
		DeferCleanup(func(ctx SpecContext) {
			binding.ResourceVersion = ""
			Expect(cluster.Create(ctx, binding)).To(Succeed())
		})
		Expect(cluster.Delete(ctx, binding)).To(Succeed())
	}
	Expect(removed).NotTo(BeZero(), "config/default binds the controller to ClusterRoles")
}

func isController(s rbacv1.Subject) bool {
	return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == controllerKey.Namespace && s.Name == controllerKey.Name
}

// kubectlKustomization applies or deletes a kustomization with kubectl.
func kubectlKustomization(ctx SpecContext, path, namespace string, command ...string) {
	GinkgoHelper()
	args := append(command, "--kustomize", filepath.Join(root, path))
	if namespace != "" {
		args = append(args, "--namespace", namespace)
	}
	result := program(ctx, "", kubectlPath(), args...)
	Expect(result.code).To(BeZero(), result.err)
}

var _ = Describe("A controller with Roles only", Serial, Label(whole), func() {
	It("runs the executions of its namespaces with the catalog of one namespace", func(ctx SpecContext) {
		mine, others := newNamespace(ctx), newNamespace(ctx)
		const catalog = "config/namespaced/catalog"
		configureController(ctx, func(ctx SpecContext) {
			removeClusterRoles(ctx)
			installed := &appsv1.Deployment{}
			Expect(cluster.Get(ctx, controllerKey, installed)).To(Succeed())
			apply := []string{"apply", "--server-side", "--force-conflicts"}
			kubectlKustomization(ctx, "config/namespaced/namespace", mine, apply...)
			kubectlKustomization(ctx, catalog, testutil.SystemNamespace, apply...)
			DeferCleanup(func(ctx SpecContext) {
				kubectlKustomization(ctx, catalog, testutil.SystemNamespace, "delete", "--ignore-not-found")
			})
			kubectlKustomization(ctx, "config/namespaced", "", apply...)
			editPod(ctx, controllerKey, func(pod *corev1.PodSpec) {
				container := &pod.Containers[0]
				container.Image = installed.Spec.Template.Spec.Containers[0].Image
				for i, arg := range container.Args {
					container.Args[i] = strings.Replace(arg, "production", mine, 1)
				}
			})
		})
		ignored := newExecution(others, "ignored", step("one", "wait", "seconds", "1"))
		Expect(cluster.Create(ctx, ignored)).To(Succeed())

		wfe := run(ctx, newExecution(mine, "driven", step("one", "wait", "seconds", "1")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		foreign := run(ctx, newExecution(mine, "foreign", step("one", "test-ok")))
		Expect(foreign.Status.Failure.Reason).To(Equal(wfev1.ReasonUnknownAction), "it does not use the catalog of the cluster")
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(ignored), ignored)).To(Succeed())
		Expect(ignored.Status.Phase).To(BeEmpty())
		pod, err := cluster.ControllerPod(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(pod.Status.ContainerStatuses[0].RestartCount).To(BeZero())
	})
})
