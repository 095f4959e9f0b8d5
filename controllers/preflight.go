package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// namespaceGrace is how long after its creation an execution waits for what its namespace lacks: whoever applies
	// everything at once cannot choose the order.
	namespaceGrace = 15 * time.Second
	namespaceRetry = 3 * time.Second

	// readyFor is how long a namespace that was found ready is not asked about again.
	readyFor = time.Minute
	// maxReady bounds what is remembered.
	maxReady = 1000
)

// preflights remembers which service accounts were found ready, so that a burst of executions asks once.
type preflights struct {
	mu    sync.Mutex
	until map[types.NamespacedName]time.Time
}

// lacking says what the namespace lacks for steps to run in it; empty when it lacks nothing. Without the service account
// no pod starts, and without the role every step would end in Error although it did its work.
func (r *Reconciler) lacking(ctx context.Context, namespace, serviceAccount string) (string, error) {
	key := types.NamespacedName{Namespace: namespace, Name: serviceAccount}
	if r.preflights.knows(key, r.now()) {
		return "", nil
	}
	account := &metav1.PartialObjectMetadata{}
	account.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := r.Live.Get(ctx, key, account)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("there is no service account %q in namespace %s: create it, or name another in spec.serviceAccountName", serviceAccount, namespace), nil
	}
	if err != nil {
		return "", fmt.Errorf("get service account %s: %w", key, err)
	}
	for _, verb := range []string{"create", "patch"} {
		allowed, err := r.mayReport(ctx, key, verb)
		if err != nil {
			return "", err
		}
		if !allowed {
			return fmt.Sprintf("service account %q may not %s workflowtaskresults in namespace %s: bind the ClusterRole workflowexecution-step to it", serviceAccount, verb, namespace), nil
		}
	}
	r.preflights.remember(key, r.now())
	return "", nil
}

// mayReport asks the API server whether a service account may report the results of steps to Argo.
func (r *Reconciler) mayReport(ctx context.Context, account types.NamespacedName, verb string) (bool, error) {
	review := &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:" + account.Namespace + ":" + account.Name,
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: account.Namespace, Group: "argoproj.io", Resource: "workflowtaskresults", Verb: verb,
			},
		},
	}
	if err := r.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask what service account %s may do: %w", account, err)
	}
	return review.Status.Allowed, nil
}

func (p *preflights) knows(key types.NamespacedName, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until[key])
}

func (p *preflights) remember(key types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil || len(p.until) >= maxReady {
		p.until = map[types.NamespacedName]time.Time{}
	}
	p.until[key] = now.Add(readyFor)
}

// awaitNamespace records whether the namespace is ready. It returns how long to wait before looking again, and ends the
// execution when it has waited long enough.
func (r *Reconciler) awaitNamespace(ctx context.Context, wfe *wfev1.WorkflowExecution, serviceAccount string) (time.Duration, error) {
	lacks, err := r.lacking(ctx, wfe.Namespace, serviceAccount)
	if err != nil {
		return 0, err
	}
	if lacks == "" {
		setNamespaceReady(wfe)
		return 0, nil
	}
	setCondition(wfe, wfev1.ConditionNamespaceReady, metav1.ConditionFalse, string(wfev1.ReasonNamespaceNotReady), lacks)
	if r.now().Sub(wfe.CreationTimestamp.Time) >= namespaceGrace {
		r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNamespaceNotReady, Message: lacks})
		return 0, nil
	}
	setReconciling(wfe, string(wfev1.ReasonNamespaceNotReady), lacks)
	return namespaceRetry, nil
}

func setNamespaceReady(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionNamespaceReady, metav1.ConditionTrue, "Ready", "the namespace has what steps need")
}
