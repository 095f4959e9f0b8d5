package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// as sets the service account of an execution.
func as(account string, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	wfe.Spec.ServiceAccountName = account
	return wfe
}

func createAccount(name string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}})).To(Succeed())
}

// mayReport reports whether a service account may report the results of steps to Argo.
func mayReport(account string) func() bool {
	return func() bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + ns + ":" + account, Groups: []string{"system:serviceaccounts"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Group: "argoproj.io", Resource: "workflowtaskresults", Verb: "create"},
		}}
		Expect(admin.Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}
}

var _ = Describe("A namespace that lacks an object that steps need", func() {
	It("sets a condition, and fails the execution after a grace period", func() {
		wfe := create(as("absent", execution("early", step("a"))))
		Eventually(conditionsOf).WithArguments(wfe).Should(SatisfyAll(
			HaveKeyWithValue("NamespaceReady", "False NamespaceNotReady"), HaveKeyWithValue("Reconciling", "True NamespaceNotReady")))
		Expect(conditionMessage(wfe, "NamespaceReady")).To(ContainSubstring(`no service account "absent"`))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhasePending))
		testClock.advance(16 * time.Second)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Reason", wfev1.ReasonNamespaceNotReady), HaveField("Message", ContainSubstring("spec.serviceAccountName")))))
		Expect(exists(&wfv1.Workflow{ObjectMeta: wfe.ObjectMeta})).To(BeFalse())
		Eventually(moved).Should(Equal(seriesValues{"total{status=failed}": 1, "failures_total{reason=NamespaceNotReady}": 1}))
	})

	It("can be repaired in time, and the execution then starts by itself", func() {
		wfe := create(as("late", execution("patient", step("a"))))
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue("NamespaceReady", "False NamespaceNotReady"))
		createAccount("late")
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("NamespaceReady", "True Ready"))
	})

	It("includes the right of the service account to report to Argo", func() {
		everybody := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "step"}}
		refresh(everybody)
		Expect(admin.Delete(ctx, everybody.DeepCopy())).To(Succeed())
		createAccount("mute")
		DeferCleanup(func() {
			everybody.ResourceVersion, everybody.UID = "", ""
			Expect(admin.Create(ctx, everybody)).To(Succeed())
			Eventually(mayReport("mute")).Should(BeTrue())
		})
		Eventually(mayReport("mute")).Should(BeFalse())
		wfe := create(as("mute", execution("mute", step("a"))))
		Eventually(func() string { return conditionMessage(wfe, "NamespaceReady") }).Should(SatisfyAll(
			ContainSubstring(`"mute" may not create workflowtaskresults`), ContainSubstring("ClusterRole workflowexecution-step")))
	})
})
