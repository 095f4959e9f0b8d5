package preflight

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
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// readyFor is how long an account that was found ready is not checked again.
	readyFor = time.Minute
	// maxReady bounds how many accounts are remembered.
	maxReady = 1000
)

// Checker checks namespaces, and remembers which service accounts were ready.
type Checker struct {
	client client.Writer
	live   client.Reader
	clock  clock.PassiveClock

	mu    sync.Mutex
	until map[types.NamespacedName]time.Time
}

// New makes a Checker that creates access reviews by a client, and reads service accounts from the API server.
func New(client client.Writer, live client.Reader, clock clock.PassiveClock) *Checker {
	return &Checker{client: client, live: live, clock: clock, until: map[types.NamespacedName]time.Time{}}
}

// Missing says what a namespace lacks for steps to run under a service account in it; empty when nothing is missing.
// Without the service account no pod starts, and without the role every step ends in Error although it did its work.
func (c *Checker) Missing(ctx context.Context, account types.NamespacedName) (string, error) {
	if c.isReady(account) {
		return "", nil
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := c.live.Get(ctx, account, found)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("there is no service account %q in namespace %s: create it, or name another in spec.serviceAccountName", account.Name, account.Namespace), nil
	}
	if err != nil {
		return "", fmt.Errorf("get service account %s: %w", account, err)
	}
	for _, verb := range []string{"create", "patch"} {
		allowed, err := c.mayReport(ctx, account, verb)
		if err != nil {
			return "", err
		}
		if !allowed {
			return fmt.Sprintf("service account %q may not %s workflowtaskresults in namespace %s: bind the ClusterRole workflowexecution-step to it", account.Name, verb, account.Namespace), nil
		}
	}
	c.noteReady(account)
	return "", nil
}

// mayReport asks the API server whether a service account may report the results of steps to Argo.
func (c *Checker) mayReport(ctx context.Context, account types.NamespacedName, verb string) (bool, error) {
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
	if err := c.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("review the access of service account %s: %w", account, err)
	}
	return review.Status.Allowed, nil
}

func (c *Checker) isReady(account types.NamespacedName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.Now().Before(c.until[account])
}

func (c *Checker) noteReady(account types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.until) >= maxReady {
		clear(c.until)
	}
	c.until[account] = c.clock.Now().Add(readyFor)
}
