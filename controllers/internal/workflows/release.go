package workflows

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Release takes the finalizer off a Workflow whose end has been recorded, and lets it leave the cache. It reports whether
// the finalizer was on it. A Workflow that has not ended is shut down in the same write: nothing follows it any more, so it
// must not start steps until the garbage collector removes it.
func (s *Store) Release(ctx context.Context, wf *wfv1.Workflow) (bool, error) {
	if !s.IsHeld(wf) {
		return false, nil
	}
	released := wf.DeepCopy()
	released.Finalizers = slices.DeleteFunc(released.Finalizers, func(name string) bool { return name == wfev1.FinalizerObserved })
	if wf.Status.Fulfilled() {
		metav1.SetMetaDataLabel(&released.ObjectMeta, wfev1.LabelObserved, "true")
	} else {
		released.Spec.Shutdown, released.Spec.Suspend = wfv1.ShutdownStrategyTerminate, nil
	}
	patch := client.MergeFromWithOptions(wf, client.MergeFromWithOptimisticLock{})
	if err := s.write(ctx, wf, released, patch, "release"); err != nil {
		return false, err
	}
	s.nudges.clear(client.ObjectKeyFromObject(wf))
	return true, nil
}

// annotationAbandoned marks a Workflow that the controller shut down because its execution no longer exists, until it is
// released: its end counts as a cancellation.
const annotationAbandoned = "workflowexecution.kubernaut.io/abandoned"

// Abandon shuts down a Workflow whose execution no longer exists.
func (s *Store) Abandon(ctx context.Context, wf *wfv1.Workflow) error {
	return s.patch(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationAbandoned: "true"}},
		"spec":     map[string]any{"shutdown": string(wfv1.ShutdownStrategyTerminate), "suspend": nil},
	})
}

// IsAbandoned reports whether the controller shut the Workflow down because its execution no longer exists.
func IsAbandoned(wf *wfv1.Workflow) bool { return wf.Annotations[annotationAbandoned] != "" }

// Held lists the Workflows under the two names of an execution that the controller's finalizer holds and that belong to an
// execution of this name, except those of the one with the UID keep. They have no nodes.
func (s *Store) Held(ctx context.Context, of types.NamespacedName, keep types.UID) ([]*wfv1.Workflow, error) {
	var held []*wfv1.Workflow
	for _, name := range []string{of.Name, of.Name + wfev1.RollbackSuffix} {
		key := types.NamespacedName{Namespace: of.Namespace, Name: name}
		wf := &wfv1.Workflow{}
		if err := s.client.Get(ctx, key, wf); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get Workflow %s: %w", key, err)
		}
		switch owner := metav1.GetControllerOf(wf); {
		case owner == nil || owner.Kind != wfev1.Kind || owner.Name != of.Name:
			s.Forget(key)
		case owner.UID != keep && s.IsHeld(wf):
			held = append(held, wf)
		}
	}
	return held, nil
}
