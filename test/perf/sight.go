package main

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// sight notes when a watcher of the API server saw each object for the first time in a state.
type sight struct {
	mu   sync.Mutex
	at   map[string]time.Time
	news chan struct{}
}

// watchFor watches the objects of a list until the context ends, and notes those that are as wanted.
func watchFor(ctx context.Context, c client.WithWatch, namespace string, list client.ObjectList, wanted func(client.Object) bool) (*sight, error) {
	watching, err := c.Watch(ctx, list, client.InNamespace(namespace))
	if err != nil {
		return nil, err
	}
	s := &sight{at: map[string]time.Time{}, news: make(chan struct{}, 1)}
	go func() {
		for event := range watching.ResultChan() {
			object, ok := event.Object.(client.Object)
			if !ok || event.Type == watch.Deleted || event.Type == watch.Bookmark || !wanted(object) {
				continue
			}
			s.note(object.GetName())
		}
	}()
	return s, nil
}

// watchWorkflows notes when Workflows appear. Their metadata is enough, and costs the machine less.
func (p *plane) watchWorkflows(ctx context.Context) (*sight, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("WorkflowList"))
	return watchFor(ctx, p.Admin, "default", list, func(client.Object) bool { return true })
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
