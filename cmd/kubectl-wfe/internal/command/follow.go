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

// tick is how often running times are shown anew, and how often it is asked whether the execution is still there.
const tick = time.Second

// follow calls look with an execution as it is now and whenever it changes, until look says that it is done; again is
// true when only time has passed. A watch that breaks is taken up again. It is an error when the execution is deleted.
func (c *connection) follow(ctx context.Context, wfe *wfev1.WorkflowExecution, look func(wfe *wfev1.WorkflowExecution, again bool) (done bool)) error {
	if look(wfe, false) {
		return nil
	}
	// What goes wrong with a watch is put right by the next one, so nobody is told.
	indexer, informer, events, stopped := watchtools.NewIndexerInformerWatcherWithLogger(logr.Discard(), c.source(wfe), &wfev1.WorkflowExecution{})
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
			case now.UID != wfe.UID: // another one of its name
				return gone
			}
			wfe = now
			if look(wfe, false) {
				return nil
			}
		case <-ticker.C:
			if informer.HasSynced() && len(indexer.ListKeys()) == 0 {
				return gone
			}
			if look(wfe, true) {
				return nil
			}
		}
	}
}

// source lists and watches one execution.
func (c *connection) source(wfe *wfev1.WorkflowExecution) cache.ListerWatcher {
	options := func(raw metav1.ListOptions) *client.ListOptions {
		raw.FieldSelector = "metadata.name=" + wfe.Name
		return &client.ListOptions{Namespace: wfe.Namespace, Raw: &raw}
	}
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
