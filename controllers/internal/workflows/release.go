package workflows

import (
	"context"
	"fmt"
	"slices"
	"time"

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

// retireRetry is how often a Workflow whose execution no longer exists is checked again until it can be released; it is watched
// too. retireGrace is how long after its deletion Argo may still end it.
const (
	retireRetry = 5 * time.Second
	retireGrace = 30 * time.Second
)

func (s *Store) abandon(ctx context.Context, wf *wfv1.Workflow) error {
	return s.patch(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationAbandoned: "true"}},
		"spec":     map[string]any{"shutdown": string(wfv1.ShutdownStrategyTerminate), "suspend": nil},
	})
}

// IsAbandoned reports whether the controller shut the Workflow down because its execution no longer exists.
func IsAbandoned(wf *wfv1.Workflow) bool { return wf.Annotations[annotationAbandoned] != "" }

// Retire stops a Workflow whose execution no longer exists, step by step: it is shut down, its pods are waited for, and it is
// released. It returns how long to wait before the next step, or that the Workflow is released now. Argo's answer to the
// shutdown is not waited for longer than retireGrace: only pods matter, and a released Workflow is deleted.
func (s *Store) Retire(ctx context.Context, wf *wfv1.Workflow) (wait time.Duration, released bool, err error) {
	if s.IsStale(wf) {
		return retireRetry, false, nil
	}
	if !wf.Status.Fulfilled() && !IsAbandoned(wf) {
		return retireRetry, false, s.abandon(ctx, wf)
	}
	silent := wf.DeletionTimestamp != nil && s.clock.Now().Sub(wf.DeletionTimestamp.Time) > retireGrace
	if !wf.Status.Fulfilled() && !silent {
		return retireRetry, false, nil
	}
	pods, err := s.RunningPods(ctx, wf.Namespace, &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID})
	if err != nil {
		return 0, false, err
	}
	if len(pods) > 0 {
		return retireRetry, false, s.DeletePods(ctx, pods)
	}
	released, err = s.Release(ctx, wf)
	return 0, released, err
}

// Held lists the Workflows under the two names of an execution that the controller's finalizer holds and that belong to an
// execution of this name, or did before their owner was removed. They have no nodes.
func (s *Store) Held(ctx context.Context, of types.NamespacedName) ([]*wfv1.Workflow, error) {
	var held []*wfv1.Workflow
	for _, name := range []string{of.Name, of.Name + wfev1.RollbackSuffix} {
		key, wf := types.NamespacedName{Namespace: of.Namespace, Name: name}, &wfv1.Workflow{}
		if err := s.client.Get(ctx, key, wf); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get Workflow %s: %w", key, err)
		}
		owner := metav1.GetControllerOf(wf)
		isOrphan := owner == nil && wf.Labels[wfev1.LabelName] == of.Name
		switch {
		case !isOrphan && (owner == nil || owner.Kind != wfev1.Kind || owner.Name != of.Name):
			s.Forget(key)
		case slices.Contains(wf.Finalizers, wfev1.FinalizerObserved):
			held = append(held, wf)
		}
	}
	return held, nil
}
