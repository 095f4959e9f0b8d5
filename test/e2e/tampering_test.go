package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// lateNode is the node label that pods of the action test-late require.
const lateNode = "test.workflowexecution.kubernaut.io/late"

// waitStep waits until a step is in a phase and returns it.
func waitStep(ctx SpecContext, wfe *wfev1.WorkflowExecution, name string, phase wfev1.StepPhase) *wfev1.StepStatus {
	GinkgoHelper()
	current := &wfev1.WorkflowExecution{}
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
		g.Expect(current.Status.Steps).To(ContainElement(MatchFields(IgnoreExtras, Fields{"Name": Equal(name), "Phase": Equal(phase)})), "%s", current.Status.Phase)
	}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
	return stepOf(current, name)
}

// labelNodes adds a label to every node until the spec ends.
func labelNodes(ctx SpecContext, label string) {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(cluster.List(ctx, nodes)).To(Succeed())
	for i := range nodes.Items {
		node := &nodes.Items[i]
		Expect(cluster.Patch(ctx, node, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+label+`":"yes"}}}`)))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(cluster.Patch(ctx, node, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+label+`":null}}}`)))).To(Succeed())
		})
	}
}

// reopen does what `argo retry` does (workflow/util, FormulateRetryWorkflow): it removes the failed nodes, deletes their pods, and
// sets the Workflow to running.
func reopen(ctx SpecContext, wf *wfv1.Workflow, pod string) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(cluster.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: wf.Namespace, Name: pod}}))).To(Succeed())
	root := wf.Status.Nodes[wf.Name]
	root.Phase, root.Message, root.FinishedAt, root.Children = wfv1.NodeRunning, "", metav1.Time{}, nil
	wf.Status.Nodes = wfv1.Nodes{wf.Name: root}
	wf.Status.Phase, wf.Status.Message, wf.Status.FinishedAt, wf.Status.Conditions = wfv1.WorkflowRunning, "", metav1.Time{}, nil
	wf.Labels["workflows.argoproj.io/completed"] = "false"
	wf.Labels["workflows.argoproj.io/phase"] = string(wfv1.WorkflowRunning)
	Expect(cluster.Update(ctx, wf)).To(Succeed())
}

var _ = Describe("A change by another user", func() {
	It("fails a step whose pod is deleted", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "pod-deleted", step("sleep", "test-sleep", "seconds", "120"))
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		sleeping := waitStep(ctx, wfe, "sleep", wfev1.StepRunning)

		Eventually(func(g Gomega) { // the program then handles SIGTERM
			logs, err := cluster.Clientset.CoreV1().Pods(namespace).GetLogs(sleeping.PodName, &corev1.PodLogOptions{Container: "main"}).DoRaw(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(logs)).To(ContainSubstring("sleeping"))
		}).WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(pollEvery).Should(Succeed())
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sleeping.PodName}}
		Expect(cluster.Delete(ctx, pod)).To(Succeed())
		ended := waitEnd(ctx, wfe)

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("sleep"), "Reason": Equal(wfev1.ReasonPodDeleted)})), "%+v", ended.Status.Failure)
	})

	It("fails an execution whose Workflow is deleted, and no second Workflow is created", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "workflow-deleted", step("sleep", "test-sleep", "seconds", "120"))
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		waitStep(ctx, wfe, "sleep", wfev1.StepRunning)

		Expect(cluster.Delete(ctx, &wfv1.Workflow{ObjectMeta: wfe.ObjectMeta})).To(Succeed())
		ended := waitEnd(ctx, wfe)

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Reason": Equal(wfev1.ReasonWorkflowDeleted)})), "%+v", ended.Status.Failure)
		Expect(stepOf(ended, "sleep").Phase).To(Equal(wfev1.StepCancelled))
		Eventually(func(g Gomega) {
			workflows := &wfv1.WorkflowList{}
			g.Expect(cluster.List(ctx, workflows, client.InNamespace(namespace))).To(Succeed())
			g.Expect(workflows.Items).To(BeEmpty())
		}).WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(pollEvery).Should(Succeed())
	})

	// Argo 4.0.5 does not run a reopened Workflow ("max parallelism limit").
	It("does not reopen an ended execution whose Workflow is retried in Argo", Serial, Label("argo-3"), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := run(ctx, newExecution(namespace, "retried", step("breaks", "test-fail")))
		wf := &wfv1.Workflow{}
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed())
			g.Expect(wf.Finalizers).To(BeEmpty(), "the finalizer is removed after the end is recorded and counted")
		}).WithContext(ctx).WithTimeout(10 * time.Second).WithPolling(pollEvery).Should(Succeed())
		before := scrape(ctx)

		reopen(ctx, wf, stepOf(wfe, "breaks").PodName)
		again := &wfv1.Workflow{}
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wf), again)).To(Succeed())
			g.Expect(again.Status.Nodes).To(HaveLen(2))
			g.Expect(again.Status.Phase).To(Equal(wfv1.WorkflowFailed), "the Workflow must run and fail again")
		}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())

		now := &wfev1.WorkflowExecution{}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), now)).To(Succeed())
		Expect(now.Status).To(Equal(wfe.Status))
		Expect(testutil.Moved(before, scrape(ctx))).To(BeEmpty(), "nothing may be counted twice")
	})

	It("does not run a step whose pod gets a node after the step's timeout", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		late := after(step("late", "test-late"), "one")
		late.TimeoutSeconds = ptr.To[int32](4)
		late.Retry = &wfev1.Retry{Limit: 1, BackoffSeconds: ptr.To[int32](1)}

		wfe := run(ctx, newExecution(namespace, "late", undoneBy(step("one", "test-ok"), "test-ok"), late))

		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("late"), "Reason": Equal(wfev1.ReasonDeadlineExceeded)})), "%+v", wfe.Status.Failure)
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
		labelNodes(ctx, lateNode)
		other := run(ctx, newExecution(namespace, "in-time", step("late", "test-late")))
		Expect(other.Status.Phase).To(Equal(wfev1.PhaseCompleted), "a node is available: %+v", other.Status.Failure)
		pods := &corev1.PodList{}
		Expect(cluster.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{"workflows.argoproj.io/workflow": "late"})).To(Succeed())
		for i := range pods.Items {
			Expect(pods.Items[i].Spec.NodeSelector).NotTo(HaveKey(lateNode), "pod %s of the late step still exists: %s", pods.Items[i].Name, pods.Items[i].Status.Phase)
		}
	})

	It("fails a step as Forbidden when its service account lacks the role of the action", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bystander"}}
		Expect(cluster.Create(ctx, account)).To(Succeed())
		Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "workflowexecution-step"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name}},
		})).To(Succeed())
		wfe := newExecution(namespace, "forbidden", step("scale", "scale-deployment", "deployment", "payment-api", "replicas", "3"))
		wfe.Spec.ServiceAccountName = account.Name

		ended := run(ctx, wfe)

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Step": Equal("scale"), "Reason": Equal(wfev1.ReasonForbidden), "Message": ContainSubstring("bystander"),
		})), "%+v", ended.Status.Failure)
		Expect(stepOf(ended, "scale").Attempts).To(BeEquivalentTo(1), "a retry cannot succeed")
	})
})
