package controllers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// watcher is told what to watch, and does not.
type watcher struct{ controller.Controller }

func (watcher) Watch(source.Source) error { return nil }

// TestLongestWait checks that what has ended is read after a while, too, where there is always something before it. Time,
// the cache and the controller are played.
func TestLongestWait(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := wfev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := &ended{cache: &informertest.FakeInformers{Scheme: scheme}, controller: watcher{}, turn: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		failed := make(chan error, 1)
		go func() { failed <- e.Start(ctx) }()
		<-time.After(longestWait - time.Nanosecond)
		synctest.Wait()
		if e.filled.Load() {
			t.Error("it did not wait for its turn")
		}
		<-time.After(time.Second)
		synctest.Wait()
		if !e.filled.Load() {
			t.Errorf("it does not know what has ended after %v", longestWait)
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
}
