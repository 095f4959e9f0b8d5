package e2e

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// needsTwoNodes labels specs that cordon one node and need another one. On a cluster with one node, exclude them with
// -ginkgo.label-filter='!two-nodes'.
const needsTwoNodes = "two-nodes"

// drainablePods selects the pods that a drain may evict: neither those of the cluster nor those of the controllers.
const drainablePods = "!app.kubernetes.io/name,!app.kubernetes.io/component,!k8s-app,!component,app notin (workflow-controller,local-path-provisioner)"

// taintKey is the key of all taints of these specs.
const taintKey = "e2e.kubernaut.io/broken-disk"

// one is the node that the specs change; other receives its pods.
var one, other string

// pickNodes selects two nodes that accept any pod, and restores them afterwards.
func pickNodes(ctx context.Context) {
	GinkgoHelper()
	var free []string
	Eventually(func(g Gomega) {
		nodes := &corev1.NodeList{}
		g.Expect(cluster.List(ctx, nodes)).To(Succeed())
		free = nil
		for _, node := range nodes.Items {
			if !node.Spec.Unschedulable && len(node.Spec.Taints) == 0 {
				free = append(free, node.Name)
			}
		}
		g.Expect(len(free)).To(BeNumerically(">=", 2), "these specs need two nodes without taints, and found %v; exclude them with "+
			"-ginkgo.label-filter='!%s'", free, needsTwoNodes)
	}).WithContext(ctx).WithTimeout(10 * time.Second).WithPolling(pollEvery).Should(Succeed())
	one, other = free[0], free[1]
	DeferCleanup(func(ctx SpecContext) {
		for _, name := range free[:2] {
			editNode(ctx, name, func(node *corev1.Node) { node.Spec.Unschedulable, node.Spec.Taints = false, nil })
		}
	})
}

func editNode(ctx context.Context, name string, edit func(*corev1.Node)) {
	GinkgoHelper()
	node := get(ctx, Default, "", name, &corev1.Node{})
	was := node.DeepCopy()
	edit(node)
	Expect(cluster.Patch(ctx, node, client.MergeFrom(was))).To(Succeed())
}

// ofNode returns a state of a node.
func ofNode(name *string, show func(*corev1.Node) string) func(context.Context, Gomega, string) string {
	return func(ctx context.Context, g Gomega, _ string) string {
		return show(get(ctx, g, "", *name, &corev1.Node{}))
	}
}

func schedulability(node *corev1.Node) string {
	return map[bool]string{true: "cordoned", false: "schedulable"}[node.Spec.Unschedulable]
}

func taints(node *corev1.Node) string {
	var found []string
	for _, taint := range node.Spec.Taints {
		if taint.Key == taintKey {
			found = append(found, taint.ToString())
		}
	}
	return strings.Join(found, ",")
}

// nodeCases run in parallel: meanwhile both nodes are cordoned, and only pods with the toleration can run.
func nodeCases() []actionCase {
	missing := []string{"node", "no-such-node"}
	return []actionCase{
		{
			action: "cordon-node", parameters: []string{"node", one}, state: ofNode(&one, schedulability), effect: "cordoned", again: "false",
			undo:  undo("uncordon-node", []string{"node", one}, from("keep-cordoned", "do", "previous-unschedulable")),
			wrong: missing, reason: wfev1.ReasonActionFailed, onNodes: true,
		},
		{
			action: "uncordon-node", parameters: []string{"node", other}, state: ofNode(&other, schedulability), effect: "schedulable", again: "false",
			prepare: func(ctx context.Context, _ string) {
				editNode(ctx, other, func(node *corev1.Node) { node.Spec.Unschedulable = true })
			},
			undo:  undo("cordon-node", []string{"node", other}),
			wrong: missing, reason: wfev1.ReasonActionFailed, onNodes: true,
		},
		{
			action: "taint-node", parameters: []string{"node", one, "key", taintKey, "value", "sda"},
			state: ofNode(&one, taints), effect: taintKey + "=sda:NoSchedule", again: "false",
			undo: undo("taint-node", []string{"node", one, "key", taintKey},
				from("value", "do", "previous-value"), from("remove", "do", "previous-absent")),
			wrong: append([]string{"key", taintKey}, missing...), reason: wfev1.ReasonActionFailed, onNodes: true,
		},
	}
}

// placePods creates a Deployment whose pods run on node one, and makes the pods of steps prefer that node too.
func placePods(ctx context.Context, namespace string, edits ...func(*appsv1.Deployment)) {
	GinkgoHelper()
	editNode(ctx, other, func(node *corev1.Node) { node.Spec.Unschedulable = true })
	two := func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](2) }
	makeDeployment("moved", append(edits, two)...)(ctx, namespace)
	waitSettled(ctx, namespace)
	Expect(nodesOf(ctx, namespace)).To(HaveEach(one))
	Expect(cluster.Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "moved"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "moved"}}, MaxUnavailable: ptr.To(intstr.FromInt32(1)),
		},
	})).To(Succeed())
	editNode(ctx, other, func(node *corev1.Node) {
		node.Spec.Unschedulable = false
		node.Spec.Taints = []corev1.Taint{{Key: taintKey, Value: "preference", Effect: corev1.TaintEffectPreferNoSchedule}}
	})
	expectNoForeignPods(ctx, namespace)
}

// expectNoForeignPods fails if a drain would evict pods of other namespaces. It waits for pods of earlier specs to end.
func expectNoForeignPods(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pods, err := cluster.Clientset.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: drainablePods, FieldSelector: "spec.nodeName=" + one})
		g.Expect(err).NotTo(HaveOccurred())
		for _, pod := range pods.Items {
			if owner := metav1.GetControllerOf(&pod); owner == nil || owner.Kind != "DaemonSet" {
				g.Expect(pod.Namespace).To(Equal(namespace), "draining node %s would evict pod %s, which is not of this spec", one, pod.Name)
			}
		}
	}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
}

// nodesOf lists the nodes of the evicted Deployment's pods.
func nodesOf(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var found []string
	for _, pod := range workloadPods(ctx, namespace) {
		found = append(found, pod.Spec.NodeName)
	}
	return found
}

func expectMoved(ctx context.Context, namespace string) {
	GinkgoHelper()
	waitSettled(ctx, namespace)
	Expect(nodesOf(ctx, namespace)).To(Equal([]string{other, other}))
}

func drainCases() []actionCase {
	return []actionCase{{
		action: "drain-node", parameters: []string{"node", one, "pod-selector", drainablePods}, state: ofNode(&one, schedulability), effect: "cordoned", again: "false",
		undo:  undo("uncordon-node", []string{"node", one}, from("keep-cordoned", "do", "previous-unschedulable")),
		wrong: []string{"node", "no-such-node"}, reason: wfev1.ReasonActionFailed, onNodes: true,
		also: func(ctx context.Context, whole *wfev1.WorkflowExecution) {
			expectMoved(ctx, whole.Namespace)
			pod := get(ctx, Default, whole.Namespace, stepOf(whole, "do").PodName, &corev1.Pod{})
			Expect(pod.Spec.NodeName).To(Equal(one), "the step should drain the node that it runs on")
			Expect(stepOf(whole, "do").Attempts).To(BeEquivalentTo(1))
		},
	}}
}

var _ = Describe("The built-in actions on nodes", Serial, Ordered, ContinueOnFailure, Label(whole, needsTwoNodes), func() {
	describeCases(nodeCases, func(ctx context.Context, _ string) { pickNodes(ctx) })
})

var _ = Describe("The built-in action that drains a node", Serial, Ordered, ContinueOnFailure, Label(whole, needsTwoNodes), func() {
	describeCases(drainCases, func(ctx context.Context, namespace string) {
		pickNodes(ctx)
		placePods(ctx, namespace)
	})
})
