package actions

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// lister is the part of a typed client that a watch needs.
type lister[L runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// errNotYet says that a bound was reached before a condition was true.
var errNotYet = errors.New("not true yet")

// watchUntil watches the objects that tune selects until done says so, and returns errNotYet when that takes longer than
// bound. It survives lost connections and expired versions, but not a refusal: that ends it at once.
func watchUntil[L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], example runtime.Object, tune func(*metav1.ListOptions), bound time.Duration,
	synced watchtools.PreconditionFunc, done watchtools.ConditionFunc,
) error {
	bounded, cancelBound := context.WithTimeout(ctx, bound)
	defer cancelBound()
	watching, refuse := context.WithCancelCause(bounded)
	defer refuse(nil)
	stopIfPermanent := func(err error) {
		if err != nil && contract.IsPermanent(err) {
			refuse(err)
		}
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			tune(&opts)
			list, err := client.List(ctx, opts)
			stopIfPermanent(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			tune(&opts)
			w, err := client.Watch(ctx, opts)
			stopIfPermanent(err)
			return w, err
		},
	}
	_, err := watchtools.UntilWithSync(watching, cache.ToListWatcherWithWatchListSemantics(lw, s.Kube), example, synced, done)
	switch cause := context.Cause(watching); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bounded.Err() != nil:
		return errNotYet
	case cause != nil:
		return fmt.Errorf("watching: %w", cause)
	default:
		return err
	}
}

// check looks at one object. It returns whether the wait is over and, if not, what is still missing: the same numbers
// as attributes of the log and as a sentence.
type check[T object] func(object T) (verdict, error)

type verdict struct {
	done    bool
	missing string
	numbers []any
}

// await watches one object until the check passes, for at most the step's own bound, and logs progress on the way.
func await[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], kind, name string, example T, passes check[T],
) error {
	if s.DryRun || s.Wait == 0 {
		s.Log.Info("not waiting", "kind", kind, "name", name, "dryRun", s.DryRun)
		return nil
	}
	p := &progress{s: s, kind: kind, name: name, missing: "its state was never seen"}
	err := awaitFor(ctx, s, client, kind, name, example, s.Wait, func(object T) (bool, error) {
		v, err := passes(object)
		p.note(v, err)
		return v.done, err
	})
	if errors.Is(err, errNotYet) {
		return p.timedOut()
	}
	return err
}

// progress logs what a wait still misses whenever that changes, and remembers it for the message of a failure.
type progress struct {
	s          *contract.Step
	kind, name string
	missing    string
	// hint is the rest of the kubectl command that shows more.
	hint string
}

func (p *progress) note(v verdict, err error) {
	if err != nil || v.done || v.missing == p.missing {
		return
	}
	p.missing = v.missing
	p.s.Log.Info("waiting for "+p.kind, append([]any{"name", p.name, "missing", v.missing}, v.numbers...)...)
}

func (p *progress) timedOut() error {
	hint := p.hint
	if hint == "" {
		hint = "describe " + p.kind + " " + p.name
	}
	return contract.TimedOut("%s %s: %s after %s; see kubectl -n %s %s", p.kind, p.name, p.missing, p.s.Wait, p.s.Namespace, hint)
}

// awaitFor watches one object until look says that it is over, and returns errNotYet after bound.
func awaitFor[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], kind, name string, example T, bound time.Duration, look func(T) (bool, error),
) error {
	gone := contract.Impossible("%s %s was deleted while the step waited for it", kind, name)
	onlyThis := func(opts *metav1.ListOptions) {
		opts.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	synced := func(store cache.Store) (bool, error) {
		for _, item := range store.List() {
			if object, ok := item.(T); ok && object.GetName() == name {
				return false, nil
			}
		}
		return false, gone
	}
	seen := func(event watch.Event) (bool, error) {
		object, ok := event.Object.(T)
		if !ok || object.GetName() != name {
			return false, nil
		}
		if event.Type == watch.Deleted {
			return false, gone
		}
		return look(object)
	}
	return watchUntil(ctx, s, client, example, onlyThis, bound, synced, seen)
}
