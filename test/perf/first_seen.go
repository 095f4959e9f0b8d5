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

// firstSeen records when a watch of the API server first delivered each object in a state.
type firstSeen struct {
	mu   sync.Mutex
	at   map[string]time.Time
	news chan struct{}
}

// watchFor watches the objects of a list until the context ends, and records those that match. It restarts watches that
// end.
func watchFor(ctx context.Context, c client.WithWatch, namespace string, object client.Object, list client.ObjectList, matches func(client.Object) bool, only ...client.ListOption) (*firstSeen, error) {
	s := &firstSeen{at: map[string]time.Time{}, news: make(chan struct{}, 1)}
	observe := func(object any) {
		if object := object.(client.Object); matches(object) {
			s.record(object.GetName())
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
		Handler:    cache.ResourceEventHandlerFuncs{AddFunc: observe, UpdateFunc: func(_, now any) { observe(now) }},
	})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// watchWorkflows records when Workflows appear. It watches the metadata only, which costs less.
func (p *controlPlane) watchWorkflows(ctx context.Context) (*firstSeen, error) {
	return watchMetadata(ctx, p.Admin, "default", wfv1.SchemeGroupVersion.WithKind("WorkflowList"), func(client.Object) bool { return true })
}

// watchPhase records when executions enter a phase.
func watchPhase(ctx context.Context, c client.WithWatch, namespace string, phase wfev1.Phase, matches func(client.Object) bool) (*firstSeen, error) {
	list := wfev1.GroupVersion.WithKind(wfev1.Kind + "List")
	return watchMetadata(ctx, c, namespace, list, matches, client.MatchingFields{"status.phase": string(phase)})
}

// watchMetadata watches the metadata of the objects of a list kind.
func watchMetadata(ctx context.Context, c client.WithWatch, namespace string, kind schema.GroupVersionKind, matches func(client.Object) bool, only ...client.ListOption) (*firstSeen, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	return watchFor(ctx, c, namespace, &metav1.PartialObjectMetadata{}, list, matches, only...)
}

func (s *firstSeen) record(name string) {
	s.mu.Lock()
	if _, known := s.at[name]; !known {
		s.at[name] = time.Now()
	}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default: // a notification is already pending
	}
}

// of is the time at which an object was first seen, and whether it was seen.
func (s *firstSeen) of(name string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[name]
	return at, ok
}

// waitFor waits until an object was seen, and returns that time.
func (s *firstSeen) waitFor(ctx context.Context, name string) (at time.Time, err error) {
	err = s.wait(ctx, func() (ok bool) { at, ok = s.of(name); return ok })
	return at, err
}

// count is the number of objects that were seen.
func (s *firstSeen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// wait waits until a condition on the seen objects holds.
func (s *firstSeen) wait(ctx context.Context, holds func() bool) error {
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
