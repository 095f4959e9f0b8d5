package admission

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/staleness"
)

// Options are an installation's choices about admission.
type Options struct {
	// MaxLivePerNamespace bounds the executions of one namespace that have started and not ended, dry runs among them; zero
	// for no bound.
	MaxLivePerNamespace int
	// Namespaces are where executions are reconciled; none means everywhere.
	Namespaces []string
}

// Obstacle is what an execution waits for before it starts. The zero value is nothing.
type Obstacle struct {
	// Reason and Message are those of the condition Admitted.
	Reason, Message string
	// Waiting is the message of the condition Reconciling.
	Waiting string
}

// Exists reports whether there is an obstacle.
func (o Obstacle) Exists() bool { return o.Reason != "" }

// Gate admits executions.
type Gate struct {
	cached   client.Reader
	live     client.Reader
	kinds    *kinds
	statuses *staleness.Statuses
	options  Options

	mu      sync.Mutex
	rebuilt bool
	// admitted holds the UIDs of executions that were admitted, by namespace and name, until the cache no longer has them.
	admitted map[string]map[string]types.UID
}

// NewGate makes a Gate that reads executions from the cache of a client, and by live from the API server. It records in
// statuses since when this process leads.
func NewGate(cached client.Client, live client.Reader, clock clock.PassiveClock, statuses *staleness.Statuses, options Options) *Gate {
	return &Gate{
		cached: cached, live: live, kinds: newKinds(cached.RESTMapper(), clock), statuses: statuses, options: options,
		admitted: map[string]map[string]types.UID{},
	}
}

// Admit makes the execution the holder of the lock on its target and gives it a slot of its namespace, both or neither;
// otherwise it returns the obstacle. Dry runs take no lock.
func (g *Gate) Admit(ctx context.Context, wfe *wfev1.WorkflowExecution) (Obstacle, error) {
	if wfe.Spec.DryRun && g.options.MaxLivePerNamespace == 0 {
		return Obstacle{}, nil
	}
	isNamespaced := true
	if !wfe.Spec.DryRun {
		var err error
		if isNamespaced, err = g.kinds.isNamespaced(&wfe.Spec.Target); err != nil {
			return Obstacle{}, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.rebuild(ctx); err != nil {
		return Obstacle{}, fmt.Errorf("rebuild the locks: %w", err)
	}
	if g.isAdmitted(wfe) {
		return Obstacle{}, nil
	}
	if !wfe.Spec.DryRun {
		locked, err := g.checkTarget(ctx, wfe, isNamespaced)
		if err != nil || locked.Exists() {
			return locked, err
		}
	}
	full, err := g.checkSlots(ctx, wfe)
	if err != nil || full.Exists() {
		return full, err
	}
	g.admit(wfe)
	return Obstacle{}, nil
}

// Withdraw takes the lock and the slot back from an execution that was admitted, has no Workflow and waits for something
// else now.
func (g *Gate) Withdraw(wfe *wfev1.WorkflowExecution) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isAdmitted(wfe) {
		g.forget(client.ObjectKeyFromObject(wfe))
	}
}

// Forget drops an execution that the cache no longer has: it has ended, or no longer exists. The cache is read under the
// mutex, since it may have received the execution, or another one of this name, in the meantime.
func (g *Gate) Forget(ctx context.Context, name types.NamespacedName) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	uid, known := g.admitted[name.Namespace][name.Name]
	if !known {
		return nil
	}
	wfe := &wfev1.WorkflowExecution{}
	err := g.cached.Get(ctx, name, wfe, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) || err == nil && wfe.UID != uid {
		g.forget(name)
	}
	return client.IgnoreNotFound(err)
}

// Admitted is how many executions are remembered.
func (g *Gate) Admitted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	count := 0
	for _, names := range g.admitted {
		count += len(names)
	}
	return count
}

func (g *Gate) isAdmitted(wfe *wfev1.WorkflowExecution) bool {
	return g.admitted[wfe.Namespace][wfe.Name] == wfe.UID && wfe.UID != ""
}

func (g *Gate) admit(wfe *wfev1.WorkflowExecution) {
	if g.admitted[wfe.Namespace] == nil {
		g.admitted[wfe.Namespace] = map[string]types.UID{}
	}
	g.admitted[wfe.Namespace][wfe.Name] = wfe.UID
}

func (g *Gate) forget(name types.NamespacedName) {
	delete(g.admitted[name.Namespace], name.Name)
	if len(g.admitted[name.Namespace]) == 0 {
		delete(g.admitted, name.Namespace)
	}
}
