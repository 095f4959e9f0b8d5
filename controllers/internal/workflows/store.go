package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/staleness"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// Store reads and writes Workflows and their pods.
type Store struct {
	client     client.Client
	live       client.Reader
	clock      clock.PassiveClock
	argoServer *ArgoServer

	writes staleness.Writes
	nudges nudges
}

// NewStore makes a Store that reads from the cache of a client, and from the API server by live. The Argo server is nil
// where there is none.
func NewStore(cached client.Client, live client.Reader, clock clock.PassiveClock, argoServer *ArgoServer) *Store {
	return &Store{client: cached, live: live, clock: clock, argoServer: argoServer}
}

// Get reads a Workflow from the cache, with all nodes that the object holds; nil when the cache has none.
func (s *Store) Get(ctx context.Context, key types.NamespacedName) (*wfv1.Workflow, error) {
	return read(ctx, s.client, key)
}

// GetLive reads a Workflow from the API server, with all nodes that the object holds; nil when there is none.
func (s *Store) GetLive(ctx context.Context, key types.NamespacedName) (*wfv1.Workflow, error) {
	return read(ctx, s.live, key)
}

func read(ctx context.Context, from client.Reader, key types.NamespacedName) (*wfv1.Workflow, error) {
	wf := &wfv1.Workflow{}
	if err := from.Get(ctx, key, wf); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("get Workflow %s: %w", key, err)
	}
	if whole, err := translate.Expand(wf); err == nil {
		return whole, nil
	}
	return wf, nil // LoadNodes reports the nodes that cannot be read
}

// GetReferenced reads the Workflow that a status names. Only the API server can say that it no longer exists: the cache may
// not show yet what this process created. It is nil when it no longer exists.
func (s *Store) GetReferenced(ctx context.Context, namespace string, ref *wfev1.WorkflowReference) (*wfv1.Workflow, error) {
	key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	for _, get := range []func(context.Context, types.NamespacedName) (*wfv1.Workflow, error){s.Get, s.GetLive} {
		wf, err := get(ctx, key)
		if err != nil || wf != nil && wf.UID == ref.UID {
			return wf, err
		}
	}
	return nil, nil
}

// IsOf reports whether a Workflow, which may be nil, belongs to an execution.
func IsOf(wf *wfv1.Workflow, wfe *wfev1.WorkflowExecution) bool {
	if wf == nil {
		return false
	}
	owner := metav1.GetControllerOf(wf)
	return owner != nil && owner.UID == wfe.UID
}

// IsPredecessor reports whether a Workflow belongs to another execution of the same name.
func IsPredecessor(wf *wfv1.Workflow, wfe *wfev1.WorkflowExecution) bool {
	owner := metav1.GetControllerOf(wf)
	return owner != nil && owner.Kind == wfev1.Kind && owner.Name == wfe.Name && owner.UID != wfe.UID
}

// Create creates a Workflow. The error is the API server's own.
func (s *Store) Create(ctx context.Context, wf *wfv1.Workflow) error { return s.client.Create(ctx, wf) }

// IsStale reports whether a Workflow was read before the last write of this process on it.
func (s *Store) IsStale(wf *wfv1.Workflow) bool { return s.writes.IsStale(wf) }

// Forget drops what is remembered of a Workflow that the cache no longer has.
func (s *Store) Forget(key types.NamespacedName) {
	s.writes.Clear(key)
	s.nudges.clear(key)
}

// Remembered is how many Workflows are remembered for their last write, and for Argo's silence.
func (s *Store) Remembered() (writes, silences int) { return s.writes.Len(), s.nudges.len() }

// IsHeld reports whether the controller's finalizer is on a Workflow; false also where this process took it off and the
// cache does not show that yet.
func (s *Store) IsHeld(wf *wfv1.Workflow) bool {
	return slices.Contains(wf.Finalizers, wfev1.FinalizerObserved) && !s.writes.IsStale(wf)
}

// patch writes a JSON merge patch. It carries the UID, so that it never changes another Workflow of the same name. A Workflow
// that no longer exists is no error: its end is observed elsewhere.
func (s *Store) patch(ctx context.Context, wf *wfv1.Workflow, patch map[string]any) error {
	metadata, ok := patch["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		patch["metadata"] = metadata
	}
	metadata["uid"] = wf.UID
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	return s.write(ctx, wf, wf.DeepCopy(), client.RawPatch(types.MergePatchType, encoded), "patch")
}

// write sends a patch that turns wf into changed, and remembers the answer. The verb names the write in an error.
func (s *Store) write(ctx context.Context, wf, changed *wfv1.Workflow, patch client.Patch, verb string) error {
	if err := s.client.Patch(ctx, changed, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("%s Workflow %s: %w", verb, wf.Name, err))
	}
	s.writes.WroteAt(changed)
	return nil
}
