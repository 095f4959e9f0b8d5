package engine

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

const (
	// discoveryInterval is how often Argo's kinds are requested from discovery until they are served.
	discoveryInterval = 10 * time.Second
	// catalogGrace is how long after Argo's kinds appeared the actions of waiting executions may be missing.
	catalogGrace = time.Minute
)

// Engine is a Runnable of the manager. It does nothing where Argo's kinds are served from the start. A nil Engine is
// available.
type Engine struct {
	mgr   ctrl.Manager
	clock clock.PassiveClock
	watch func(context.Context) error

	mu        sync.Mutex
	available bool
	appeared  time.Time // zero where the kinds were served from the start
}

// New makes an Engine that calls watch once, when Argo's kinds are served: at once where they are.
func New(ctx context.Context, mgr ctrl.Manager, clock clock.PassiveClock, watch func(context.Context) error) (*Engine, error) {
	e := &Engine{mgr: mgr, clock: clock, watch: watch}
	return e, e.open(ctx)
}

// IsAvailable reports whether Argo's kinds are served and watched.
func (e *Engine) IsAvailable() bool {
	if e == nil {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.available
}

// IsNew reports whether Argo was installed just now. Its catalog cannot have existed before, so an action that is missing
// may yet come.
func (e *Engine) IsNew() bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.appeared.IsZero() && e.clock.Now().Sub(e.appeared) < catalogGrace
}

// Start asks the API server for Argo's kinds until all of them are served. Their definitions belong to the cluster, and a
// controller of some namespaces may not watch those; every authenticated client may use discovery.
func (e *Engine) Start(ctx context.Context) error {
	if e.IsAvailable() {
		return nil
	}
	ctrl.Log.Info("Argo Workflows is not installed; waiting for its CustomResourceDefinitions")
	ticker := time.NewTicker(discoveryInterval)
	defer ticker.Stop()
	for !e.IsAvailable() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := e.open(ctx); err != nil {
			ctrl.Log.Error(err, "Cannot watch Argo's kinds")
			continue
		}
		e.noteAppearance()
	}
	return nil
}

// NeedLeaderElection makes a standby ready to lead, too.
func (e *Engine) NeedLeaderElection() bool { return false }

func (e *Engine) open(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.available || !e.hasKinds() {
		return nil
	}
	if err := e.watch(ctx); err != nil {
		return err
	}
	e.available = true
	return nil
}

func (e *Engine) noteAppearance() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.available {
		e.appeared = e.clock.Now()
	}
}

func (e *Engine) hasKinds() bool {
	for _, kind := range []string{"Workflow", "ClusterWorkflowTemplate", "WorkflowTemplate"} {
		_, err := e.mgr.GetRESTMapper().RESTMapping(schema.GroupKind{Group: wfv1.SchemeGroupVersion.Group, Kind: kind}, wfv1.SchemeGroupVersion.Version)
		if err != nil {
			return false
		}
	}
	return true
}
