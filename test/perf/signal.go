package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// signals is how many changes are followed.
	signals = 200
	// liveSteps is how many steps, and so nodes, a live execution has.
	liveSteps = 20
	// scrapeEvery leaves the processors to what is measured; it is also how exact that is.
	scrapeEvery = 5 * time.Millisecond
)

// measureSignal measures how long it takes from Argo's write of a node until the step has ended in the status of its
// execution, and until it is counted in the metrics.
func measureSignal(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	live := max(s.count, signals)
	if err := p.seedAll(ctx, "live", 0, live, nil); err != nil {
		return nil, err
	}
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.waitForQuiet(ctx); err != nil {
		return nil, err
	}
	ended, err := watchFor(ctx, p.Admin, "default", &wfev1.WorkflowExecution{}, &wfev1.WorkflowExecutionList{}, func(object client.Object) bool {
		steps := object.(*wfev1.WorkflowExecution).Status.Steps
		return len(steps) == liveSteps && steps[liveSteps-1].Phase == wfev1.StepCompleted
	})
	if err != nil {
		return nil, err
	}
	counter := func(samples testutil.Samples) float64 {
		return samples[`workflowexecution_step_execution_total{action="scale-deployment",status="completed"}`]
	}
	go m.profile(s, "signal", 10)
	var writing, toStatus, toMetrics []float64
	for i := range signals {
		name := fmt.Sprintf("live-%d", i*live/signals)
		samples, _, _, err := m.scrape()
		if err != nil {
			return nil, err
		}
		before := counter(samples)
		began, written, err := p.finishLast(ctx, name)
		if err != nil {
			return nil, err
		}
		at, err := ended.waitFor(ctx, name)
		if err != nil {
			return nil, err
		}
		writing, toStatus = append(writing, written.Sub(began).Seconds()), append(toStatus, max(0, at.Sub(written).Seconds()))
		// What is not in the status yet is not counted either, and to look for it would take time from what is measured.
		if err := m.waitForCount(ctx, counter, before); err != nil {
			return nil, fmt.Errorf("the end of the last step of %s: %w", name, err)
		}
		toMetrics = append(toMetrics, time.Since(written).Seconds())
	}
	what := fmt.Sprintf("signal path, %d live executions: ", live)
	return []Result{
		told(what+"Argo's own write, p50", percentile(writing, 50)*1e3, "ms"),
		told(what+"Argo's own write, p99", percentile(writing, 99)*1e3, "ms"),
		told(what+"node to status, p50", percentile(toStatus, 50)*1e3, "ms"),
		told(what+"node to status, p99", percentile(toStatus, 99)*1e3, "ms"),
		told(what+"node to metrics, p50", percentile(toMetrics, 50)*1e3, "ms"),
		atMost(what+"node to metrics, p99", percentile(toMetrics, 99)*1e3, 250, "ms"),
	}, nil
}

// waitForCount waits until a counter has moved.
func (m *manager) waitForCount(ctx context.Context, counter func(testutil.Samples) float64, before float64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		samples, _, _, err := m.scrape()
		if err != nil || counter(samples) > before {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it is not counted")
		case <-time.After(scrapeEvery):
		}
	}
}

// finishLast lets the last step of an execution end well, and says when that was about to be written, and when it was.
func (p *plane) finishLast(ctx context.Context, name string) (began, written time.Time, err error) {
	wf := &wfv1.Workflow{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wf); err != nil {
		return began, written, err
	}
	was := wf.DeepCopy()
	double.Succeed(fmt.Sprintf("step-%d", liveSteps-1), "changed=true", "previous-replicas=3")(wf)
	began = time.Now()
	err = p.Admin.Patch(ctx, wf, client.MergeFrom(was))
	return began, time.Now(), err
}

// waitForQuiet waits until the manager's caches are filled, which the gauges need, and it has nothing to do.
func (m *manager) waitForQuiet(ctx context.Context) error {
	quiet, used := 0, 0.0
	return until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		quiet++
		_, filled := samples[m.filled]
		busy := total(samples, queued) + total(samples, "controller_runtime_active_workers{")
		if !filled || samples[processorSeconds]-used > idle || busy > 0 {
			quiet = 0
		}
		used = samples[processorSeconds]
		return quiet >= 5, errors.Join(err, m.hasEnded())
	})
}
