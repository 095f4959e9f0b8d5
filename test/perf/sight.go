package main

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// sight notes when a watcher of the API server saw each object for the first time in a state.
type sight struct {
	mu   sync.Mutex
	at   map[string]time.Time
	news chan struct{}
}

// watchFor watches the objects of a list until the context ends, and notes those that are as wanted. It goes on where
// a watch ends.
func watchFor(ctx context.Context, c client.WithWatch, namespace string, object client.Object, list client.ObjectList, wanted func(client.Object) bool, only ...client.ListOption) (*sight, error) {
	s := &sight{at: map[string]time.Time{}, news: make(chan struct{}, 1)}
	look := func(object any) {
		if object := object.(client.Object); wanted(object) {
			s.note(object.GetName())
		}
	}
	in := func(options metav1.ListOptions) []client.ListOption {
		return append([]client.ListOption{&client.ListOptions{Namespace: namespace, Raw: &options}}, only...)
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				list := list.DeepCopyObject().(client.ObjectList)
				return list, c.List(ctx, list, in(options)...)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return c.Watch(ctx, list, in(options)...)
			},
		},
		ObjectType: object,
		Handler:    cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, now any) { look(now) }},
	})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// watchWorkflows notes when Workflows appear. Their metadata is enough, and costs the machine less.
func (p *plane) watchWorkflows(ctx context.Context) (*sight, error) {
	return watchMetadata(ctx, p.Admin, "default", wfv1.SchemeGroupVersion.WithKind("WorkflowList"), func(client.Object) bool { return true })
}

// watchPhase notes when executions come into a phase.
func watchPhase(ctx context.Context, c client.WithWatch, namespace string, phase wfev1.Phase, wanted func(client.Object) bool) (*sight, error) {
	list := wfev1.GroupVersion.WithKind(wfev1.Kind + "List")
	return watchMetadata(ctx, c, namespace, list, wanted, client.MatchingFields{"status.phase": string(phase)})
}

// watchMetadata watches the metadata of the objects in lists of a kind.
func watchMetadata(ctx context.Context, c client.WithWatch, namespace string, kind schema.GroupVersionKind, wanted func(client.Object) bool, only ...client.ListOption) (*sight, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	return watchFor(ctx, c, namespace, &metav1.PartialObjectMetadata{}, list, wanted, only...)
}

func (s *sight) note(name string) {
	s.mu.Lock()
	if _, known := s.at[name]; !known {
		s.at[name] = time.Now()
	}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default: // whoever waits will look anyway
	}
}

// of is when an object was seen; false while it was not.
func (s *sight) of(name string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[name]
	return at, ok
}

// waitFor waits until an object was seen, and says when that was.
func (s *sight) waitFor(ctx context.Context, name string) (at time.Time, err error) {
	err = s.wait(ctx, func() (ok bool) { at, ok = s.of(name); return ok })
	return at, err
}

// count is how many were seen.
func (s *sight) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// wait waits until something holds of what was seen.
func (s *sight) wait(ctx context.Context, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.news:
		}
	}
	return nil
}
