package controllers

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// livePage bounds a page of the lists that are read when a controller starts to lead.
const livePage = 500

// locks knows which executions this process let start, because the cache may not show it yet. What it does not know, the
// cache says; what a predecessor did last, a live list says once.
type locks struct {
	mu      sync.Mutex
	rebuilt bool
	// holders are those of the locks on targets, by the key of the target.
	holders map[string]identity
	// targets are the keys of what they hold, by the holder's name.
	targets map[types.NamespacedName]string
	slots   slots
}

// identity tells an execution from others that had its name.
type identity struct {
	name types.NamespacedName
	uid  types.UID
}

// hold notes that the execution holds the lock on a target.
func (l *locks) hold(key string, wfe *wfev1.WorkflowExecution) {
	name := client.ObjectKeyFromObject(wfe)
	l.letGo(name) // of a predecessor of the same name
	l.holders[key], l.targets[name] = identity{name: name, uid: wfe.UID}, key
}

// letGo drops what is known of whoever holds a lock under this name.
func (l *locks) letGo(name types.NamespacedName) {
	if key, holds := l.targets[name]; holds && l.holders[key].name == name {
		delete(l.holders, key)
	}
	delete(l.targets, name)
}

// forgetLocks drops what is known of an execution that the cache does not have any more: it is in nobody's way. The cache is
// asked under the lock, for it may have got the execution since, and then the locks may be its.
func (r *Reconciler) forgetLocks(ctx context.Context, name types.NamespacedName) error {
	r.locks.mu.Lock()
	defer r.locks.mu.Unlock()
	_, holds := r.locks.targets[name]
	if _, live := r.locks.slots[name.Namespace][name.Name]; !live && !holds {
		return nil
	}
	err := r.Get(ctx, name, &wfev1.WorkflowExecution{}, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		r.locks.letGo(name)
		r.locks.slots.letGo(name)
	}
	return client.IgnoreNotFound(err)
}

// obstacle is what an execution waits for before it starts; the zero value is nothing.
type obstacle struct {
	// reason and message are the condition Admitted's.
	reason, message string
	// waiting is the condition Reconciling's message.
	waiting string
}

// admit makes the execution the holder of the lock on its target and gives it a slot of its namespace, both or neither;
// else it returns what is in its way. Dry runs take no lock.
func (r *Reconciler) admit(ctx context.Context, wfe *wfev1.WorkflowExecution) (obstacle, error) {
	if wfe.Spec.DryRun && r.Settings.MaxLivePerNamespace == 0 {
		return obstacle{}, nil
	}
	r.locks.mu.Lock()
	defer r.locks.mu.Unlock()
	if err := r.rebuildLocks(ctx); err != nil {
		return obstacle{}, fmt.Errorf("rebuild the locks: %w", err)
	}
	if wfe.Spec.DryRun {
		return r.takeSlot(ctx, wfe)
	}
	key, err := r.lockKey(wfe)
	if err != nil || r.locks.holders[key].uid == wfe.UID {
		return obstacle{}, err
	}
	holder, err := r.holder(ctx, wfe, key)
	if err != nil {
		return obstacle{}, err
	}
	if holder != "" {
		return obstacle{
			reason:  "TargetLocked",
			message: fmt.Sprintf("%s %s is being remediated by %s", wfe.Spec.Target.Kind, wfe.Spec.Target.Name, holder),
			waiting: "waiting for " + holder,
		}, nil
	}
	full, err := r.takeSlot(ctx, wfe)
	if err == nil && full.reason == "" {
		r.locks.hold(key, wfe)
	}
	return full, err
}

// holder is the name of who is before an execution, if anybody is. The holder of a lock is whoever has started; when
// nobody has, the oldest waiting one is next, by creation time and then by name.
func (r *Reconciler) holder(ctx context.Context, wfe *wfev1.WorkflowExecution, key string) (string, error) {
	rivals, err := r.rivals(ctx, wfe)
	if err != nil {
		return "", err
	}
	first := wfe
	for i := range rivals {
		rival := &rivals[i]
		if rival.UID == r.locks.holders[key].uid || rival.Status.WorkflowRef != nil {
			return rival.Namespace + "/" + rival.Name, nil
		}
		if !rival.Spec.Suspended && precedes(rival, first) {
			first = rival
		}
	}
	if first != wfe {
		return first.Namespace + "/" + first.Name, nil
	}
	return "", nil
}

// precedes reports whether an execution comes before another.
func precedes(a, b *wfev1.WorkflowExecution) bool { return compareAge(a, b) < 0 }

// compareAge orders waiting executions: first come, first served.
func compareAge(a, b *wfev1.WorkflowExecution) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// rivals are the other executions with the same target that have not ended: the cache has no others. They are its own, and
// only read.
func (r *Reconciler) rivals(ctx context.Context, wfe *wfev1.WorkflowExecution) ([]wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	if err := r.List(ctx, list, client.MatchingFields{indexTarget: targetKey(&wfe.Spec.Target)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the executions of the target: %w", err)
	}
	key, err := r.lockKey(wfe)
	if err != nil {
		return nil, err
	}
	rivals := list.Items[:0]
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == wfe.UID || other.Spec.DryRun || other.DeletionTimestamp != nil && other.Status.WorkflowRef == nil {
			continue
		}
		otherKey, err := r.lockKey(other)
		if err != nil {
			return nil, err
		}
		if otherKey == key {
			rivals = append(rivals, *other)
		}
	}
	return rivals, nil
}

// lockKey names the target cluster-wide. A kind that the API server does not know counts as namespaced; when it cannot
// be asked, nobody is admitted.
func (r *Reconciler) lockKey(wfe *wfev1.WorkflowExecution) (string, error) {
	key := targetKey(&wfe.Spec.Target)
	group, version := splitAPIVersion(wfe.Spec.Target.APIVersion)
	mapping, err := r.RESTMapper().RESTMapping(schema.GroupKind{Group: group, Kind: wfe.Spec.Target.Kind}, version)
	switch {
	case meta.IsNoMatchError(err):
		return wfe.Namespace + "/" + key, nil
	case err != nil:
		return "", fmt.Errorf("find out whether %s is namespaced: %w", wfe.Spec.Target.Kind, err)
	case mapping.Scope.Name() == meta.RESTScopeNameRoot:
		return key, nil
	}
	return wfe.Namespace + "/" + key, nil
}

// targetKey is a target's group, kind and name: the version does not make it another object.
func targetKey(target *wfev1.Target) string {
	group, _ := splitAPIVersion(target.APIVersion)
	return strings.Join([]string{group, target.Kind, target.Name}, "/")
}

func splitAPIVersion(apiVersion string) (group, version string) {
	group, version, versioned := strings.Cut(apiVersion, "/")
	if !versioned {
		return "", group
	}
	return group, version
}

// rebuildLocks reads once, from the API server, what a predecessor admitted: a Workflow may exist that no status tells
// of, because its creator died in between. The error is a conflict while the cache lacks one that was admitted. Once it has
// had all, one that it lacks has ended.
func (r *Reconciler) rebuildLocks(ctx context.Context) error {
	if r.locks.rebuilt {
		return nil
	}
	started, err := r.startedExecutions(ctx)
	if err != nil {
		return err
	}
	r.locks.holders, r.locks.targets, r.locks.slots = map[string]identity{}, map[types.NamespacedName]string{}, slots{}
	list := &wfev1.WorkflowExecutionList{}
	err = r.listLive(ctx, list, func() error {
		r.fresh.lead(list.ResourceVersion)
		for i := range list.Items {
			wfe := &list.Items[i]
			if wfe.Status.WorkflowRef == nil && !started[wfe.UID] {
				continue
			}
			if err := r.holdAgain(ctx, wfe); err != nil {
				return err
			}
		}
		return nil
	}, client.MatchingFieldsSelector{Selector: unended()})
	if err != nil {
		return fmt.Errorf("list WorkflowExecutions: %w", err)
	}
	r.locks.rebuilt = true
	return nil
}

// holdAgain notes what an execution holds that a predecessor let start, unless it has ended meanwhile.
func (r *Reconciler) holdAgain(ctx context.Context, wfe *wfev1.WorkflowExecution) error {
	bounded := r.Settings.MaxLivePerNamespace > 0
	if wfe.Spec.DryRun && !bounded {
		return nil
	}
	if seen, err := r.isSeen(ctx, wfe); !seen || err != nil {
		return err
	}
	if bounded {
		r.locks.slots.take(wfe)
	}
	if wfe.Spec.DryRun {
		return nil
	}
	key, err := r.lockKey(wfe)
	if err == nil {
		r.locks.hold(key, wfe)
	}
	return err
}

// isSeen reports whether the cache has an execution that had not ended when it was listed. One that it lacks may have ended
// since; the error is a conflict if it has not.
func (r *Reconciler) isSeen(ctx context.Context, wfe *wfev1.WorkflowExecution) (bool, error) {
	key, seen, now := client.ObjectKeyFromObject(wfe), &wfev1.WorkflowExecution{}, &wfev1.WorkflowExecution{}
	err := r.Get(ctx, key, seen, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil || err == nil && seen.UID == wfe.UID {
		return err == nil, err
	}
	err = r.Live.Get(ctx, key, now)
	if err != nil || now.UID != wfe.UID || now.Status.Phase.IsTerminal() {
		return false, client.IgnoreNotFound(err)
	}
	return false, behind(wfe)
}

// startedExecutions are the UIDs of the executions that have a Workflow whose end has not been recorded.
func (r *Reconciler) startedExecutions(ctx context.Context) (map[types.UID]bool, error) {
	started := map[types.UID]bool{}
	list := &metav1.PartialObjectMetadataList{} // nodes are large, and nobody needs them here
	list.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("WorkflowList"))
	err := r.listLive(ctx, list, func() error {
		for i := range list.Items {
			for _, owner := range list.Items[i].OwnerReferences {
				started[owner.UID] = true
			}
		}
		return nil
	}, client.MatchingLabelsSelector{Selector: unobserved()})
	if err != nil {
		return nil, fmt.Errorf("list Workflows: %w", err)
	}
	return started, nil
}
