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

// errBoundReached means that a watch reached its bound before its condition was met.
var errBoundReached = errors.New("the bound of the wait was reached")

// watchUntil watches the objects that selectObjects selects until done returns true. It returns errBoundReached after bound.
// It continues after lost connections and expired resource versions; a permanent error ends it.
func watchUntil[L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], example runtime.Object, selectObjects func(*metav1.ListOptions), bound time.Duration,
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
			selectObjects(&opts)
			list, err := client.List(ctx, opts)
			stopIfPermanent(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			selectObjects(&opts)
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
		return errBoundReached
	case cause != nil:
		return fmt.Errorf("watching: %w", cause)
	default:
		return err
	}
}

// check assesses one object.
type check[T object] func(object T) (verdict, error)

// verdict is the result of a check: whether the wait is over and, if not, what is missing, as a sentence for messages and
// as attributes for the log.
type verdict struct {
	done    bool
	missing string
	numbers []any
}

// await watches one object until the check passes, for at most wait-seconds, and logs progress.
func await[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], kind, name string, example T, passes check[T], details func(context.Context) string,
) error {
	if s.DryRun || s.Wait == 0 {
		s.Log.Info("not waiting", "kind", kind, "name", name, "dryRun", s.DryRun)
		return nil
	}
	p := &progress{s: s, kind: kind, name: name, missing: "its state was not received", details: details}
	err := awaitFor(ctx, s, client, kind, name, example, s.Wait, func(object T) (bool, error) {
		v, err := passes(object)
		p.note(v, err)
		return v.done, err
	})
	return p.end(ctx, err)
}

// progress logs what a wait is missing whenever that changes, and stores it for the message of a failure.
type progress struct {
	s          *contract.Step
	kind, name string
	missing    string
	// hint is the rest of a kubectl command that shows details.
	hint string
	// advice replaces the kubectl command where there is none.
	advice string
	// details finds the cause when the wait fails; nil if there is nothing to find.
	details func(ctx context.Context) string
}

func (p *progress) note(v verdict, err error) {
	if err != nil || v.done || v.missing == p.missing {
		return
	}
	p.missing = v.missing
	p.s.Log.Info("waiting for "+p.kind, append([]any{"name", p.name, "missing", v.missing}, v.numbers...)...)
}

// end converts the error of a wait to a failure that contains what was missing.
func (p *progress) end(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && p.missing != "":
		return contract.Stopped("stopped while waiting for %s %s: %s; the step was cancelled, exceeded its timeout or lost its node", p.kind, p.name, p.missing)
	case errors.Is(err, errBoundReached):
		return p.timedOut(ctx)
	default:
		return err
	}
}

func (p *progress) timedOut(ctx context.Context) error {
	if p.details != nil {
		p.missing += p.details(ctx)
	}
	if p.advice != "" {
		return contract.TimedOut("%s %s: %s after %s; %s", p.kind, p.name, p.missing, p.s.Wait, p.advice)
	}
	hint := p.hint
	if hint == "" {
		hint = "describe " + p.kind + " " + p.name
	}
	return contract.TimedOut("%s %s: %s after %s; see kubectl -n %s %s", p.kind, p.name, p.missing, p.s.Wait, p.s.Namespace, hint)
}

// awaitFor watches one object until isDone returns true, and returns errBoundReached after bound.
func awaitFor[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], kind, name string, example T, bound time.Duration, isDone func(T) (bool, error),
) error {
	gone := contract.Impossible("%s %s was deleted during the step", kind, name)
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
		return isDone(object)
	}
	return watchUntil(ctx, s, client, example, onlyThis, bound, synced, seen)
}
