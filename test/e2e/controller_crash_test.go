package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// sameHost is the label of specs that must run as root on the machine of the cluster's first node.
const sameHost = "same-host"

// nodeName is the pod annotation with the name of Argo's node.
const nodeName = "workflows.argoproj.io/node-name"

// managerProcess finds the process of a controller pod on this machine by its control group.
func managerProcess(g Gomega, pod *corev1.Pod) int {
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	g.Expect(err).NotTo(HaveOccurred())
	found := 0
	for _, file := range groups {
		group, _ := os.ReadFile(file) // the process may have ended
		name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
		if strings.Contains(string(group), string(pod.UID)) && strings.TrimSpace(string(name)) == "manager" {
			found, err = strconv.Atoi(filepath.Base(filepath.Dir(file)))
			g.Expect(err).NotTo(HaveOccurred())
		}
	}
	g.Expect(found).NotTo(BeZero(), "no process of pod %s is on this machine", pod.Name)
	return found
}

// killController kills the controller and deletes its pod, so that no back-off delays the next one.
func killController(ctx context.Context) {
	GinkgoHelper()
	var pod *corev1.Pod
	Eventually(func(g Gomega) {
		var err error
		pod, err = cluster.ControllerPod(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(syscall.Kill(managerProcess(g, pod), syscall.SIGKILL)).To(Succeed())
	}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
	Expect(client.IgnoreNotFound(cluster.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
}

var _ = Describe("A killed controller", Serial, Label(whole, sameHost), func() {
	It("continues: no step runs twice, and completed steps are rolled back", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "survivor",
			undoneBy(step("first", "test-sleep", "seconds", "3"), "test-ok"),
			after(approval("ask", 0), "first"),
			undoneBy(after(step("second", "test-sleep", "seconds", "20"), "ask"), "test-ok"),
			after(step("breaks", "test-fail"), "second"),
		)
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		killController(ctx) // before it reads the execution, or between its first writes
		waitPhaseFor(ctx, wfe, wfev1.PhaseAwaitingApproval, patience)
		killController(ctx)
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) {
			spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "e2e"}}
		})
		Eventually(func(g Gomega) {
			g.Expect(stepOf(get(ctx, g, namespace, wfe.Name, wfe), "second").Phase).To(Equal(wfev1.StepRunning))
		}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
		killController(ctx)
		waitPhaseFor(ctx, wfe, wfev1.PhaseRollingBack, patience)
		killController(ctx)
		ended := waitEndFor(ctx, wfe, patience)

		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(ended.Status.Failure.Step).To(Equal("breaks"))
		Expect(meta.IsStatusConditionTrue(ended.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue(), "%+v", ended.Status.RollbackSteps)
		workflows := &wfv1.WorkflowList{}
		Expect(cluster.List(ctx, workflows, client.InNamespace(namespace))).To(Succeed())
		Expect(workflows.Items).To(ConsistOf(
			HaveField("UID", ended.Status.WorkflowRef.UID), HaveField("UID", ended.Status.RollbackRef.UID)))
		pods := &corev1.PodList{}
		Expect(cluster.List(ctx, pods, client.InNamespace(namespace), client.HasLabels{labelWorkflow})).To(Succeed())
		var ran []string
		for i := range pods.Items {
			ran = append(ran, pods.Items[i].Annotations[nodeName])
		}
		Expect(ran).To(ConsistOf("survivor.first", "survivor.second", "survivor.breaks", "survivor-rollback.first", "survivor-rollback.second"))
	})
})
