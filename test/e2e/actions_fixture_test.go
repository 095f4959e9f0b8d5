package e2e

import (
	"context"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// labelWorkflow is set on the pods of steps.
const labelWorkflow = "workflows.argoproj.io/workflow"

// faultyImage is an image other than those of the samples and the actions.
const faultyImage = "localhost/workflowexecution/faulty:v1"

// grant creates a service account and binds the step role and the roles of actions to it, in the namespace or, for nodes,
// cluster-wide.
func grant(ctx context.Context, namespace, account string, onNodes bool, actions ...string) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}})).To(Succeed())
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}}
	bind := func(role string, everywhere bool) {
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
		name := metav1.ObjectMeta{Namespace: namespace, Name: account + "-" + role}
		if !everywhere {
			Expect(cluster.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: name, RoleRef: ref, Subjects: subjects})).To(Succeed())
			return
		}
		name = metav1.ObjectMeta{Name: namespace + "-" + name.Name}
		createForSpecs(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: name, RoleRef: ref, Subjects: subjects})
	}
	bind("workflowexecution-step", false)
	for _, action := range actions {
		bind("workflowexecution-action-"+action, onNodes)
	}
}

// createForSpecs creates an object outside the specs' namespaces, and deletes it when the current specs end.
func createForSpecs(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, object))).To(Succeed()) })
}

// sampleDeployment returns the samples' Deployment with another name and one replica.
func sampleDeployment(name string) *appsv1.Deployment {
	GinkgoHelper()
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "samples", "payment-api", "deployment.yaml"))
	Expect(err).NotTo(HaveOccurred())
	d := &appsv1.Deployment{}
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, d)).To(Succeed())
	d.Name, d.Spec.Replicas = name, ptr.To[int32](1)
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	d.Spec.Template.Labels = map[string]string{"app": name}
	return d
}

// container returns the only container of a sampleDeployment.
func container(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[0] }

// makeDeployment creates a sampleDeployment with edits.
func makeDeployment(name string, edits ...func(*appsv1.Deployment)) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		GinkgoHelper()
		d := sampleDeployment(name)
		d.Namespace = namespace
		for _, edit := range edits {
			edit(d)
		}
		Expect(cluster.Create(ctx, d)).To(Succeed())
	}
}

// makeStatefulSet creates pods with predictable names.
func makeStatefulSet(name string, replicas int32) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		GinkgoHelper()
		d := sampleDeployment(name)
		Expect(cluster.Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: appsv1.StatefulSetSpec{
				Replicas: &replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, PodManagementPolicy: appsv1.ParallelPodManagement,
			},
		})).To(Succeed())
	}
}

// get reads an object of a namespace.
func get[T client.Object](ctx context.Context, g Gomega, namespace, name string, object T) T {
	g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return object
}

// workloadPods lists the pods of a namespace that do not belong to steps.
func workloadPods(ctx context.Context, namespace string, which ...client.ListOption) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(cluster.List(ctx, pods, append(which, client.InNamespace(namespace))...)).To(Succeed())
	var others []corev1.Pod
	for i := range pods.Items {
		if _, isStep := pods.Items[i].Labels[labelWorkflow]; !isStep {
			others = append(others, pods.Items[i])
		}
	}
	return others
}

// waitSettled waits until all workloads of a namespace are available and all other pods have ended.
func waitSettled(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		deployments, sets, daemons := &appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}
		for _, list := range []client.ObjectList{deployments, sets, daemons} {
			g.Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		}
		for _, d := range deployments.Items {
			g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation), d.Name)
			g.Expect(d.Status.AvailableReplicas).To(Equal(*d.Spec.Replicas), d.Name)
			g.Expect(d.Status.Replicas).To(Equal(*d.Spec.Replicas), d.Name)
		}
		for _, s := range sets.Items {
			g.Expect(s.Status.AvailableReplicas).To(Equal(*s.Spec.Replicas), s.Name)
		}
		for _, s := range daemons.Items {
			g.Expect(s.Status.DesiredNumberScheduled).To(BeNumerically(">", 0), s.Name)
			g.Expect(s.Status.NumberAvailable).To(Equal(s.Status.DesiredNumberScheduled), s.Name)
		}
		for _, p := range workloadPods(ctx, namespace) {
			g.Expect(p.DeletionTimestamp).To(BeNil(), p.Name)
			g.Expect(p.Status.Phase).NotTo(Equal(corev1.PodPending), p.Name)
			if metav1.GetControllerOf(&p) == nil {
				g.Expect(p.Status.Phase).To(Equal(corev1.PodFailed), p.Name)
			}
		}
		claims := &corev1.PersistentVolumeClaimList{}
		g.Expect(cluster.List(ctx, claims, client.InNamespace(namespace))).To(Succeed())
		for _, c := range claims.Items {
			g.Expect(c.Status.Phase).To(Equal(corev1.ClaimBound), c.Name)
		}
	}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
}

// versions returns the UID and resource version of every object of a namespace that an action might change.
func versions(ctx context.Context, namespace string) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, gvk := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "Pod"}, {Version: "v1", Kind: "PersistentVolumeClaim"},
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apps", Version: "v1", Kind: "StatefulSet"},
		{Group: "apps", Version: "v1", Kind: "DaemonSet"}, {Group: "batch", Version: "v1", Kind: "Job"}, {Group: "batch", Version: "v1", Kind: "CronJob"},
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk)
		Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		for _, object := range list.Items {
			if _, isStep := object.Labels[labelWorkflow]; !isStep {
				found[gvk.Kind+" "+object.Name] = string(object.UID) + " at " + object.ResourceVersion
			}
		}
	}
	return found
}
