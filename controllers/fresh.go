package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// fresh knows of which executions only this process can have written a status: of those that are newer than its lead, and
// it remembers what it wrote.
type fresh struct {
	mu sync.Mutex
	// since is the resourceVersion of the executions when this process had begun to lead; empty until that is known.
	since string
	// unanswered are the executions of which a write had no answer: it may have been made.
	unanswered sets.Set[types.NamespacedName]
}

func (f *fresh) lead(resourceVersion string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since = resourceVersion
}

func (f *fresh) doubt(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unanswered == nil {
		f.unanswered = sets.New[types.NamespacedName]()
	}
	f.unanswered.Insert(key)
}

func (f *fresh) forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unanswered.Delete(key)
}

// isOurs reports whether nobody else can have written a status since a copy was made.
func (f *fresh) isOurs(key types.NamespacedName, resourceVersion string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	order, err := resourceversion.CompareResourceVersion(resourceVersion, f.since)
	return err == nil && order > 0 && !f.unanswered.Has(key)
}

// checkFresh returns a conflict when the cache is behind: a Workflow that was created, recorded and forced away must not
// be created again. The API server is asked unless the execution is new, has no status yet, and only this process could
// have given it one. One that waited is looked at again before it starts, so that it does not start against its user's
// last word.
func (r *Reconciler) checkFresh(ctx context.Context, wfe *wfev1.WorkflowExecution) error {
	key := client.ObjectKeyFromObject(wfe)
	if wfe.Status.Phase == "" && r.fresh.isOurs(key, wfe.ResourceVersion) {
		return nil
	}
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	if err := r.Live.Get(ctx, key, live); err != nil {
		return fmt.Errorf("get the WorkflowExecution: %w", err)
	}
	if live.ResourceVersion == wfe.ResourceVersion {
		return nil
	}
	return behind(wfe)
}

// behind is the conflict of a cache that does not show an execution as it is.
func behind(wfe *wfev1.WorkflowExecution) error {
	resource := wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource()
	return apierrors.NewConflict(resource, wfe.Name, errors.New("the cache is behind"))
}
