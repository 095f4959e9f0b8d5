package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	p, err := newPlane(ctx)
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
	var toStatus, toMetrics []float64
	for i := range signals {
		name := fmt.Sprintf("live-%d", i*live/signals)
		samples, _, _, err := m.scrape()
		if err != nil {
			return nil, err
		}
		before := counter(samples)
		began, err := p.finishLast(ctx, name)
		if err != nil {
			return nil, err
		}
		for {
			if samples, _, _, err = m.scrape(); err != nil {
				return nil, err
			}
			if counter(samples) > before {
				break
			}
			if time.Since(began) > patience {
				return nil, fmt.Errorf("the end of the last step of %s is not counted", name)
			}
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(scrapeEvery):
			}
		}
		toMetrics = append(toMetrics, time.Since(began).Seconds())
		at, err := ended.waitFor(ctx, name)
		if err != nil {
			return nil, err
		}
		toStatus = append(toStatus, max(0, at.Sub(began).Seconds()))
	}
	what := fmt.Sprintf("signal path, %d live executions: ", live)
	return []Result{
		told(what+"node to status, p50", percentile(toStatus, 50)*1e3, "ms"),
		told(what+"node to status, p99", percentile(toStatus, 99)*1e3, "ms"),
		told(what+"node to metrics, p50", percentile(toMetrics, 50)*1e3, "ms"),
		atMost(what+"node to metrics, p99", percentile(toMetrics, 99)*1e3, 250, "ms"),
	}, nil
}

// finishLast lets the last step of an execution end well, and says when that was about to be written; what is measured
// begins there, Argo's own write included.
func (p *plane) finishLast(ctx context.Context, name string) (time.Time, error) {
	wf := &wfv1.Workflow{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wf); err != nil {
		return time.Time{}, err
	}
	was := wf.DeepCopy()
	double.Succeed(fmt.Sprintf("step-%d", liveSteps-1), "changed=true", "previous-replicas=3")(wf)
	began := time.Now()
	return began, p.Admin.Patch(ctx, wf, client.MergeFrom(was))
}

// waitForQuiet waits until the manager's caches are filled, which the gauges need, and it has nothing to do.
func (m *manager) waitForQuiet(ctx context.Context) error {
	quiet, used := 0, 0.0
	return until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		quiet++
		if _, filled := samples[m.filled]; !filled || samples[processorSeconds]-used > idle {
			quiet = 0
		}
		used = samples[processorSeconds]
		for name, value := range samples {
			if strings.HasPrefix(name, "workqueue_depth") && value > 0 || strings.HasPrefix(name, "controller_runtime_active_workers") && value > 0 {
				quiet = 0
			}
		}
		return quiet >= 5, errors.Join(err, m.hasEnded())
	})
}
