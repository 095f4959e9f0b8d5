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
	It("is waited for, and used without a restart", func() {
		w := newWorld(false)
		// What ended when there still was an Argo keeps nobody busy, and goes when its time is over.
		ended := execution("ended", 1)
		ended.Spec.TTLSecondsAfterFinished = ptr.To[int32](1)
		Expect(w.Admin.Create(ctx, ended)).To(Succeed())
		was := ended.DeepCopy()
		ended.Status.Phase, ended.Status.CompletionTime = wfev1.PhaseCompleted, ptr.To(metav1.Now())
		ended.Status.WorkflowRef = &wfev1.WorkflowReference{Name: "ended", UID: "gone"}
		Expect(w.Admin.Status().Patch(ctx, ended, client.MergeFrom(was))).To(Succeed())

		m := w.manage(alone)
		Eventually(func() error { return w.Admin.Get(ctx, client.ObjectKeyFromObject(ended), ended) }).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
		wfe := execution("early", 2)
		Expect(w.Admin.Create(ctx, wfe)).To(Succeed())
		Eventually(func() bool {
			Expect(w.Admin.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
			return meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)
		}).Should(BeTrue())
		Expect(wfe.Status.Phase).To(Equal(wfev1.PhasePending))
		condition := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)
		Expect(condition.Message).To(ContainSubstring("CustomResourceDefinitions"))

		w.installArgo()
		w.expectAllDone(1, 2)
		Expect(m.isRunning()).To(BeTrue(), "it was restarted")
		Expect(w.Admin.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionEngineAvailable)).To(BeTrue())
	})
})
