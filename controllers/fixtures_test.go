package controllers_test

import (
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// shiftedClock is the real clock plus a shift. It must not stand still, since the API server sets timestamps by its own clock.
type shiftedClock struct{ shift atomic.Int64 }

func (c *shiftedClock) Now() time.Time { return time.Now().Add(time.Duration(c.shift.Load())) }

func (c *shiftedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// advance moves the clock forward. It wakes no goroutine.
func (c *shiftedClock) advance(d time.Duration) { c.shift.Add(int64(d)) }

func newNamespace() string {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "remediation"}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "step"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"argoproj.io"}, Resources: []string{"workflowtaskresults"}, Verbs: []string{"create", "patch"}}},
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "step"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name}},
	}
	Expect(admin.Create(ctx, binding)).To(Succeed())
	return namespace.Name
}

// cleanUp deletes the objects of a spec and checks what must hold after every spec: no execution has two Workflows, and the
// controller releases the Workflows of deleted executions.
func cleanUp() {
	calls.removeFaults()
	testClock.shift.Store(0)
	for workflow, created := range calls.creations() {
		Expect(created).To(Equal(1), "Workflows created for one execution: %s", workflow)
	}
	executions := &wfev1.WorkflowExecutionList{}
	Expect(admin.List(ctx, executions)).To(Succeed())
	for i := range executions.Items {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, &executions.Items[i]))).To(Succeed())
	}
	Eventually(collectGarbage).Should(BeEmpty(), "Workflows of deleted executions are not released")
	Eventually(busy).Should(BeFalse())
}

// collectGarbage deletes the Workflows without an owner, as the garbage collector does, and ends those of them that are shut down,
// as Argo does. It returns the names of all existing Workflows.
func collectGarbage() []string {
	workflows := &wfv1.WorkflowList{}
	Expect(admin.List(ctx, workflows)).To(Succeed())
	var left []string
	for i := range workflows.Items {
		wf := &workflows.Items[i]
		left = append(left, wf.Namespace+"/"+wf.Name)
		if hasOwner(wf) {
			continue
		}
		if wf.Spec.Shutdown != "" && !wf.Status.Fulfilled() {
			was := wf.DeepCopy()
			wf.Status.Phase, wf.Status.FinishedAt = wfv1.WorkflowFailed, metav1.Unix(testClock.Now().Unix(), 0)
			if err := admin.Patch(ctx, wf, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})); !apierrors.IsConflict(err) {
				Expect(client.IgnoreNotFound(err)).To(Succeed())
			}
		}
		if wf.DeletionTimestamp == nil {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, wf))).To(Succeed())
		}
	}
	return left
}

func hasOwner(wf *wfv1.Workflow) bool {
	owner := metav1.GetControllerOf(wf)
	if owner == nil {
		return false
	}
	wfe := &wfev1.WorkflowExecution{}
	err := admin.Get(ctx, types.NamespacedName{Namespace: wf.Namespace, Name: owner.Name}, wfe)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil && wfe.UID == owner.UID
}

// create creates an execution in its namespace, or in the spec's namespace if it has none.
func create(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	GinkgoHelper()
	if wfe.Namespace == "" {
		wfe.Namespace = ns
	}
	Expect(admin.Create(ctx, wfe)).To(Succeed())
	return wfe
}

// start creates an execution and waits until it runs.
func start(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	GinkgoHelper()
	create(wfe)
	Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
	refresh(wfe)
	return wfe
}

// refresh reads the object again.
func refresh(object client.Object) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
}

// change patches an object without an optimistic lock.
func change[T client.Object](object T, mutate func(T)) {
	GinkgoHelper()
	refresh(object)
	was := object.DeepCopyObject().(T)
	mutate(object)
	Expect(admin.Patch(ctx, object, client.MergeFrom(was))).To(Succeed())
}

// triggerReconcile makes the controller reconcile an execution without a change of its specification, and waits for it.
func triggerReconcile(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	reconciles := calls.reconciles(wfe)
	change(wfe, func(wfe *wfev1.WorkflowExecution) {
		metav1.SetMetaDataAnnotation(&wfe.ObjectMeta, "test/poked", testClock.Now().String())
	})
	Eventually(func() int { return calls.reconciles(wfe) }).Should(BeNumerically(">", reconciles))
}

// workflowOf reads the Workflow of an execution.
func workflowOf(wfe *wfev1.WorkflowExecution) *wfv1.Workflow {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed())
	return wf
}

func exists(object client.Object) bool {
	GinkgoHelper()
	err := admin.Get(ctx, client.ObjectKeyFromObject(object), object)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return !apierrors.IsNotFound(err)
}
