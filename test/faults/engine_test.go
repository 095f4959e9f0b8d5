package faults

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("Argo that is installed after the manager", func() {
	It("is used without a restart of the manager", func() {
		c := newCluster(false)
		// An execution that ended while Argo was installed is deleted at its time to live.
		ended := execution("ended", 1)
		ended.Spec.TTLSecondsAfterFinished = ptr.To[int32](1)
		Expect(c.Admin.Create(ctx, ended)).To(Succeed())
		was := ended.DeepCopy()
		ended.Status.Phase, ended.Status.CompletionTime = wfev1.PhaseCompleted, ptr.To(metav1.Now())
		ended.Status.WorkflowRef = &wfev1.WorkflowReference{Name: "ended", UID: "gone"}
		Expect(c.Admin.Status().Patch(ctx, ended, client.MergeFrom(was))).To(Succeed())

		m := c.manage(alone)
		Eventually(func() error { return c.Admin.Get(ctx, client.ObjectKeyFromObject(ended), ended) }).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
		wfe := execution("early", 2)
		Expect(c.Admin.Create(ctx, wfe)).To(Succeed())
		Eventually(func() bool {
			Expect(c.Admin.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
			return meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)
		}).Should(BeTrue())
		Expect(wfe.Status.Phase).To(Equal(wfev1.PhasePending))
		condition := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)
		Expect(condition.Message).To(ContainSubstring("CustomResourceDefinitions"))

		c.installArgo()
		c.expectAllCompleted(1, 2)
		Expect(m.isRunning()).To(BeTrue(), "the manager must not restart")
		Expect(c.Admin.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)).To(BeTrue())
	})
})
