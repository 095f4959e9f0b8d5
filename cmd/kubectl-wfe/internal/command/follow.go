package command

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// tick is how often running durations are updated and a deletion is noticed.
const tick = time.Second

// follow calls observe with the current version of an execution and with each later one, until observe returns true.
// Between changes it calls observe at each tick, with isTick set. It restarts a broken watch. The deletion of the
// execution is an error.
func (c *connection) follow(ctx context.Context, wfe *wfev1.WorkflowExecution, observe func(wfe *wfev1.WorkflowExecution, isTick bool) (done bool)) error {
	if observe(wfe, false) {
		return nil
	}
	first := wfe
	// The informer restarts a broken watch, so its errors need no log.
	indexer, informer, events, stopped := watchtools.NewIndexerInformerWatcherWithLogger(logr.Discard(), c.source(func(raw metav1.ListOptions) *client.ListOptions { return named(first, raw) }), &wfev1.WorkflowExecution{})
	defer func() {
		events.Stop()
		<-stopped
	}()
	gone := fmt.Errorf("WorkflowExecution %q was deleted", wfe.Name)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-events.ResultChan():
			now, isExecution := event.Object.(*wfev1.WorkflowExecution)
			switch {
			case !isExecution:
				continue
			case now.UID != wfe.UID: // another object with the same name
				return gone
			}
			wfe = now
			if observe(wfe, false) {
				return nil
			}
		case <-ticker.C:
			if informer.HasSynced() && len(indexer.ListKeys()) == 0 {
				return gone
			}
			if observe(wfe, true) {
				return nil
			}
		}
	}
}

// watchAll calls observe with each version of the selected executions, starting with the current ones, until the context
// is done or observe returns an error.
func (c *connection) watchAll(ctx context.Context, options func(metav1.ListOptions) *client.ListOptions, observe func(*wfev1.WorkflowExecution) error) error {
	_, _, events, stopped := watchtools.NewIndexerInformerWatcherWithLogger(logr.Discard(), c.source(options), &wfev1.WorkflowExecution{})
	defer func() {
		events.Stop()
		<-stopped
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-events.ResultChan():
			if wfe, isExecution := event.Object.(*wfev1.WorkflowExecution); isExecution && event.Type != watch.Deleted {
				if err := observe(wfe); err != nil {
					return err
				}
			}
		}
	}
}

// named selects a single execution.
func named(wfe *wfev1.WorkflowExecution, raw metav1.ListOptions) *client.ListOptions {
	raw.FieldSelector = "metadata.name=" + wfe.Name
	return &client.ListOptions{Namespace: wfe.Namespace, Raw: &raw}
}

// source lists and watches the selected executions.
func (c *connection) source(options func(metav1.ListOptions) *client.ListOptions) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			list := &wfev1.WorkflowExecutionList{}
			err := c.List(ctx, list, options(raw))
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &wfev1.WorkflowExecutionList{}, options(raw))
		},
	}
}
