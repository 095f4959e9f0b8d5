package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

const (
	// labelSnapshotOf is set on every snapshot. Its value is a hash of the object's name, which can be too long for a label.
	labelSnapshotOf = "workflowexecution.kubernaut.io/snapshot-of"
	// annotationSnapshotOf holds the name of the object.
	annotationSnapshotOf = "workflowexecution.kubernaut.io/snapshot-of"
	// maxSnapshots bounds the number of snapshots of one object.
	maxSnapshots = 5
)

// store is a typed client of ConfigMaps or Secrets.
type store[T object, L runtime.Object] interface {
	patcher[T]
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Create(ctx context.Context, object T, opts metav1.CreateOptions) (T, error)
	Update(ctx context.Context, object T, opts metav1.UpdateOptions) (T, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// snapshots stores the data of an object before a step changes it, in an object of the same kind. Outputs are short, and
// everyone who can read an execution can read them, so they cannot hold the data.
type snapshots[T object, L runtime.Object] struct {
	kind  string
	owner string
	store store[T, L]
	// copyOf returns a new object with the data of another one.
	copyOf func(T) T
}

// change takes a snapshot, makes the change that plan returns, and deletes old snapshots.
func (x snapshots[T, L]) change(ctx context.Context, s *contract.Step, name string, plan func(T) map[string]any, attributes ...any) error {
	taken := ""
	result, err := change(ctx, s, x.store, x.kind, name, func(found T, again bool) (edit, error) {
		e := edit{patch: plan(found), message: "changed", attributes: attributes, field: []string{"data"}}
		if e.patch == nil || again {
			return e, nil
		}
		var err error
		taken, err = x.take(ctx, s, found)
		e.previous = map[string]string{"snapshot": taken}
		return e, err
	})
	if err != nil {
		if taken != "" && isRefused(err) {
			x.discard(ctx, s, taken)
		}
		return err
	}
	if !result.changed {
		return nil
	}
	x.prune(ctx, s, name)
	return restartUsers(ctx, s)
}

// isRefused reports whether the API server has certainly not written anything.
func isRefused(err error) bool {
	_, isFailure := errors.AsType[*contract.Failure](err)
	return !isFailure && contract.IsPermanent(err)
}

// discard deletes the snapshot of a change that was refused. The step fails anyway, so a failure is only logged.
func (x snapshots[T, L]) discard(ctx context.Context, s *contract.Step, name string) {
	err := x.store.Delete(ctx, name, metav1.DeleteOptions{DryRun: s.DryRunOption()})
	if err != nil && !apierrors.IsNotFound(err) {
		s.Log.Warn("cannot delete the snapshot of a refused change", "name", name, "error", err.Error())
	}
}

// take creates the snapshot of this step and returns its name. It replaces the snapshot of an attempt that failed before
// the change, because the object may have changed since.
func (x snapshots[T, L]) take(ctx context.Context, s *contract.Step, found T) (string, error) {
	taken := x.copyOf(found)
	key := s.Identity.Key()
	if s.Identity.Run == "" {
		key = "manual"
	}
	taken.SetName(found.GetName()[:min(len(found.GetName()), 200)] + "-wfe-" + key)
	taken.SetNamespace(found.GetNamespace())
	taken.SetLabels(map[string]string{labelSnapshotOf: hashName(found.GetName())})
	taken.SetAnnotations(map[string]string{annotationSnapshotOf: found.GetName()})
	taken.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: x.owner, Name: found.GetName(), UID: found.GetUID()}})
	_, err := x.store.Create(ctx, taken, metav1.CreateOptions{DryRun: s.DryRunOption()})
	if apierrors.IsAlreadyExists(err) {
		_, err = x.store.Update(ctx, taken, metav1.UpdateOptions{DryRun: s.DryRunOption()})
	}
	if err != nil {
		return "", fmt.Errorf("creating a snapshot of %s %s: %w", x.kind, found.GetName(), err)
	}
	s.Log.Info("created a snapshot", "kind", x.kind, "name", found.GetName(), "snapshot", taken.GetName(), "dryRun", s.DryRun)
	return taken.GetName(), nil
}

// read returns a snapshot. It fails if the object is not a snapshot of the given name.
func (x snapshots[T, L]) read(ctx context.Context, s *contract.Step, name, of string) (T, error) {
	var found T
	err := s.Retry(ctx, "reading snapshot "+name, func(ctx context.Context) (err error) {
		found, err = x.store.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return found, fmt.Errorf("reading snapshot %s: %w", name, err)
	}
	if actual := found.GetAnnotations()[annotationSnapshotOf]; actual != of {
		return found, contract.Impossible("%s %s is not a snapshot of %s", x.kind, name, of)
	}
	return found, nil
}

// prune deletes all but the newest snapshots of an object. The step is done, so a failure is only logged.
func (x snapshots[T, L]) prune(ctx context.Context, s *contract.Step, of string) {
	list, err := x.store.List(ctx, metav1.ListOptions{LabelSelector: labelSnapshotOf + "=" + hashName(of)})
	if err != nil {
		s.Log.Warn("cannot list old snapshots", "error", err.Error())
		return
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		s.Log.Warn("cannot list old snapshots", "error", err.Error())
		return
	}
	var all []T
	for _, item := range items {
		if o, ok := item.(T); ok {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b T) int { return b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time) })
	for i := maxSnapshots; i < len(all); i++ {
		err := x.store.Delete(ctx, all[i].GetName(), metav1.DeleteOptions{DryRun: s.DryRunOption()})
		if err != nil && !apierrors.IsNotFound(err) {
			s.Log.Warn("cannot delete an old snapshot", "name", all[i].GetName(), "error", err.Error())
		}
	}
}

func hashName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}
