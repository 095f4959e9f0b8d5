package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("A successful execution", func() {
	It("owns one Workflow", func() {
		wfe := start(execution("own", step("only")))
		wf := workflowOf(wfe)
		Expect(wf.OwnerReferences).To(ConsistOf(metav1.OwnerReference{
			APIVersion: wfev1.GroupVersion.String(), Kind: wfev1.Kind, Name: wfe.Name, UID: wfe.UID,
			Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
		}))
		Expect(wf.Finalizers).To(ConsistOf(wfev1.FinalizerObserved))
		Expect(wf.Labels).To(Equal(map[string]string{
			wfev1.LabelName: "own", wfev1.LabelRole: wfev1.RoleMain, "workflows.argoproj.io/controller-instanceid": "blue",
		}))
		Expect(wf.Spec.ServiceAccountName).To(Equal(serviceAccount))

		Expect(wfe.Status.WorkflowRef).To(Equal(&wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}))
		Expect(wfe.Status.StartTime.Equal(&wf.CreationTimestamp)).To(BeTrue())
		Expect(wfe.Status.URL).To(Equal("https://argo.example/workflows/" + ns + "/own"))
		Expect(wfe.Status.ObservedGeneration).To(Equal(wfe.Generation))
		Expect(wfe.Status.Progress).To(Equal("0/1"))
		Expect(stepsOf(wfe)()).To(Equal("only=Pending"))
		Expect(conditionsOf(wfe)).To(Equal(map[string]string{
			"Valid": "True Accepted", "Admitted": "True TargetFree", "NamespaceReady": "True Ready", "Reconciling": "True Running",
		}))
		Expect(kstatus(wfe)).To(Equal("InProgress"))
		Eventually(gauges).Should(SatisfyAll(
			HaveKeyWithValue("active_total", 1.0),
			HaveKeyWithValue("workflows{phase=Running}", 1.0),
			HaveKeyWithValue("start_timestamp{name=own,namespace="+ns+"}", float64(wfe.Status.StartTime.Unix())),
		))
	})

	It("mirrors its steps, completes, and is counted once", func() {
		last := step("last", "left", "right")
		last.Parameters = []wfev1.Parameter{
			{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "left", Output: "previous"}}, value("mode", "slow"), value("content", "{{anything}}"),
		}
		wfe := start(execution("life", step("first"), step("left", "first"), step("right", "first"), step("never", "first"), last))
		argo := argoOf(wfe)

		argo.write(pend("first", "ContainerCreating"))
		Eventually(func() string { return stepOf(wfe, "first").Message }).Should(Equal("ContainerCreating"))
		Expect(stepOf(wfe, "first").Phase).To(Equal(wfev1.StepPending))
		argo.write(run("first"))
		Eventually(stepsOf(wfe)).Should(Equal("first=Running left=Pending right=Pending never=Pending last=Pending"))
		testClock.advance(5 * time.Second)
		argo.write(succeed("first", "changed=true", "previous=3"))
		Eventually(stepsOf(wfe)).Should(HavePrefix("first=Completed"))
		wf := workflowOf(wfe)
		node := wf.Status.Nodes[wf.NodeID("life.first")]
		Expect(*stepOf(wfe, "first")).To(Equal(wfev1.StepStatus{
			Name: "first", Action: doIt, Phase: wfev1.StepCompleted, Attempts: 1, ArgoPhase: "Succeeded", PodName: podNameOf(wf, &node),
			StartTime: &node.StartedAt, CompletionTime: &node.FinishedAt,
			Outputs: []wfev1.Output{{Name: "changed", Value: "true"}, {Name: "previous", Value: "3"}},
		}))
		Expect(statusOf(wfe).Progress).To(Equal("1/5"))

		argo.write(run("left"), run("right"), skip("never"))
		Eventually(stepsOf(wfe)).Should(Equal("first=Completed left=Running right=Running never=Skipped last=Pending"))
		testClock.advance(5 * time.Second)
		argo.write(succeed("left", "previous=2"), succeed("right"), run("last"))
		testClock.advance(5 * time.Second)
		argo.write(succeed("last"), finish(wfv1.WorkflowSucceeded))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Eventually(isHeld(wfe)).Should(BeFalse())
		refresh(wfe)
		Expect(stepsOf(wfe)()).To(Equal("first=Completed left=Completed right=Completed never=Skipped last=Completed"))
		Expect(wfe.Status.Progress).To(Equal("5/5"))
		Expect(wfe.Status.ParallelSteps).To(HaveValue(BeEquivalentTo(2)))
		Expect(wfe.Status.Failure).To(BeNil())
		Expect(wfe.Status.CompletionTime.Sub(wfe.Status.StartTime.Time)).To(BeNumerically("~", 15*time.Second, 10*time.Second))
		Expect(conditionsOf(wfe)).To(Equal(map[string]string{
			"Valid": "True Accepted", "Admitted": "True TargetFree", "NamespaceReady": "True Ready",
			"Reconciling": "False Completed", "Complete": "True Completed",
		}))
		Expect(kstatus(wfe)).To(Equal("Current"))
		Eventually(eventsOf(wfe)).Should(HaveExactElements("Normal Running: Workflow life runs the steps", HavePrefix("Normal Completed: 5/5")))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=completed}": 1, "duration_seconds": 1, "parallel_steps_count": 1,
			"step_execution_total{action=do-it,status=completed}": 4, "step_execution_duration_seconds{action=do-it}": 4,
			"step_skipped_total{action=do-it}": 1, "steps_executed_total": 4, "parallel_steps_total": 2,
		})))
		Eventually(gauges).Should(SatisfyAll(
			HaveKeyWithValue("active_total", 0.0), HaveKeyWithValue("workflows{phase=Running}", 0.0),
			Not(HaveKey(HavePrefix("start_timestamp"))),
		))
	})

	It("costs at most five writes if it is short", func() {
		wfe := start(execution("short", step("only")))
		argo := argoOf(wfe)
		argo.write(run("only"))
		Eventually(stepsOf(wfe)).Should(Equal("only=Running"))
		argo.write(succeed("only"), finish(wfv1.WorkflowSucceeded))
		Eventually(isHeld(wfe)).Should(BeFalse())
		Eventually(busy).Should(BeFalse())
		Expect(calls.writeNames("short")).To(HaveExactElements("create Workflow", updateStatus, updateStatus, updateStatus, "patch Workflow"))
	})

	It("costs two writes until its Workflow changes", func() {
		wfe := start(execution("shortest", step("only")))
		triggerReconcile(wfe)
		Eventually(busy).Should(BeFalse())
		Expect(calls.writeNames("shortest")).To(HaveExactElements("create Workflow", updateStatus))
	})

	It("is not reconciled further after its end, neither on events nor by the next leader", func() {
		wfe := start(execution("rest", step("only")))
		argoOf(wfe).write(run("only"), succeed("only"), finish(wfv1.WorkflowSucceeded))
		Eventually(isHeld(wfe)).Should(BeFalse())
		Eventually(busy).Should(BeFalse())
		triggerReconcile(wfe)
		wf := workflowOf(wfe)
		counts, writes, reads, reconciles := moved(), len(calls.writes("rest")), calls.liveReads(), calls.reconciles(wfe)
		change(wf, func(wf *wfv1.Workflow) { metav1.SetMetaDataAnnotation(&wf.ObjectMeta, "test/poked", "true") })
		Consistently(func() int { return calls.reconciles(wfe) }).Should(Equal(reconciles), "changes of the Workflow of an ended execution must not cause a reconcile")
		withNewLeader(func() {})
		Eventually(func() int { return calls.reconciles(wfe) }).Should(BeNumerically(">", reconciles))
		Eventually(busy).Should(BeFalse())

		version, wfVersion := wfe.ResourceVersion, wf.ResourceVersion
		refresh(wfe)
		refresh(wf)
		Expect(wfe.ResourceVersion).To(Equal(version))
		Expect(wf.ResourceVersion).To(Equal(wfVersion))
		Expect(calls.writes("rest")).To(HaveLen(writes))
		Expect(calls.liveReads()).To(Equal(reads))
		Expect(moved()).To(Equal(counts))
	})

	It("costs no write while its Workflow does not change", func() {
		wfe := start(execution("steady", step("only")))
		argo := argoOf(wfe)
		argo.write(run("only"))
		Eventually(stepsOf(wfe)).Should(Equal("only=Running"))
		refresh(wfe)
		version, reconciles := wfe.ResourceVersion, calls.reconciles(wfe)
		change(workflowOf(wfe), func(wf *wfv1.Workflow) { metav1.SetMetaDataAnnotation(&wf.ObjectMeta, "test/poked", "true") })
		Eventually(func() int { return calls.reconciles(wfe) }).Should(BeNumerically(">", reconciles))
		Eventually(busy).Should(BeFalse())
		refresh(wfe)
		Expect(wfe.ResourceVersion).To(Equal(version))
	})

	It("observes a generation that changes after its end", func() {
		wfe := start(execution("late-change", step("only")))
		argoOf(wfe).write(run("only"), succeed("only"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		inTheCacheOfWhatHasEnded := func() error {
			return leader.Finished.Get(ctx, client.ObjectKeyFromObject(wfe), &wfev1.WorkflowExecution{})
		}
		Eventually(inTheCacheOfWhatHasEnded).Should(Succeed())
		refresh(wfe)
		want := wfe.Status.DeepCopy()
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(func() string { return kstatus(wfe) }).WithTimeout(time.Second).Should(Equal("Current"))
		refresh(wfe)
		want.ObservedGeneration = wfe.Generation
		for i := range want.Conditions {
			want.Conditions[i].ObservedGeneration = wfe.Generation // kubectl wait ignores conditions of older generations
		}
		Expect(&wfe.Status).To(BeComparableTo(want), "the rest must not change, although the cache of ended executions lacks it")
	})
})
