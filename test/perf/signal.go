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
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// signals is how many executions are followed.
	signals = 200
	// liveSteps is how many steps, and so nodes, a live execution has.
	liveSteps = 20
	// secondLast and last are the steps whose ends are followed.
	secondLast, last = liveSteps - 2, liveSteps - 1
	// scrapeEvery leaves the processors to what is measured; it is also how exact that is.
	scrapeEvery = 5 * time.Millisecond
)

// measureSignal measures how long it takes from Argo's write of a node until the step has ended in the status of its
// execution, and until it is counted in the metrics: for a step in the middle, and for the last one, with which the execution
// ends.
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
	followed := func(i int) string { return fmt.Sprintf("live-%d", i*live/signals) }
	if err := each(0, signals, func(i int) error { return p.takeBack(ctx, followed(i)) }); err != nil {
		return nil, err
	}
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.waitForQuiet(ctx); err != nil {
		return nil, err
	}
	progressed, err := watchFor(ctx, p.Admin, "default", &wfev1.WorkflowExecution{}, &wfev1.WorkflowExecutionList{}, func(object client.Object) bool {
		return object.(*wfev1.WorkflowExecution).Status.Steps[secondLast].Phase == wfev1.StepCompleted
	})
	if err != nil {
		return nil, err
	}
	ended, err := watchPhase(ctx, p.Admin, "default", wfev1.PhaseCompleted, func(client.Object) bool { return true })
	if err != nil {
		return nil, err
	}
	go m.profile(s, "signal", 30)
	var middle, ends signalTimes
	for i := range signals {
		if err := middle.add(ctx, p, m, followed(i), secondLast, progressed); err != nil {
			return nil, err
		}
		if err := ends.add(ctx, p, m, followed(i), last, ended); err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("signal path, %d live executions, ", live)
	return append(middle.results(what+"a step in the middle: "), ends.results(what+"the end: ")...), nil
}

// takeBack takes a live execution and its Workflow back to where the last step had not begun, and the one before it ran.
func (p *plane) takeBack(ctx context.Context, name string) error {
	key := client.ObjectKey{Namespace: "default", Name: name}
	wf, wfe := &wfv1.Workflow{}, &wfev1.WorkflowExecution{}
	if err := errors.Join(p.Admin.Get(ctx, key, wf), p.Admin.Get(ctx, key, wfe)); err != nil {
		return err
	}
	isRunning(wf, nameOfStep(secondLast))
	delete(wf.Status.Nodes, wf.NodeID(wf.Name+"."+nameOfStep(last)))
	wfe.Status.Steps = translate.Steps(translate.InitialSteps(&wfe.Spec), wf)
	wfe.Status.Progress = fmt.Sprintf("%d/%d", secondLast, liveSteps)
	return errors.Join(p.Admin.Update(ctx, wf), p.Admin.Status().Update(ctx, wfe))
}

// signalTimes are seconds: what Argo's own writes took, and how long after them each was seen.
type signalTimes struct{ writing, toStatus, toMetrics []float64 }

// add lets a step of an execution end, and measures; told is where the status is seen.
func (t *signalTimes) add(ctx context.Context, p *plane, m *manager, name string, step int, told *sight) error {
	samples, _, _, err := m.scrape()
	if err != nil {
		return err
	}
	before := completedSteps(samples)
	began, written, err := p.finishStep(ctx, name, step)
	if err != nil {
		return err
	}
	t.writing = append(t.writing, written.Sub(began).Seconds())
	// What is not in the status yet is not counted either, and to look for it would take time from what is measured.
	at, err := told.waitFor(ctx, name)
	if err != nil {
		return fmt.Errorf("the end of %s of %s: %w", nameOfStep(step), name, err)
	}
	t.toStatus = append(t.toStatus, max(0, at.Sub(written).Seconds()))
	if err := m.waitForCount(ctx, completedSteps, before); err != nil {
		return fmt.Errorf("the end of %s of %s: %w", nameOfStep(step), name, err)
	}
	t.toMetrics = append(t.toMetrics, time.Since(written).Seconds())
	return nil
}

func completedSteps(samples testutil.Samples) float64 {
	return samples[`workflowexecution_step_execution_total{action="scale-deployment",status="completed"}`]
}

func (t *signalTimes) results(what string) []Result {
	return []Result{
		told(what+"Argo's own write, p50", percentile(t.writing, 50)*1e3, "ms"),
		told(what+"Argo's own write, p99", percentile(t.writing, 99)*1e3, "ms"),
		told(what+"node to status, p50", percentile(t.toStatus, 50)*1e3, "ms"),
		told(what+"node to status, p99", percentile(t.toStatus, 99)*1e3, "ms"),
		told(what+"node to metrics, p50", percentile(t.toMetrics, 50)*1e3, "ms"),
		atMost(what+"node to metrics, p99", percentile(t.toMetrics, 99)*1e3, 250, "ms"),
	}
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

// finishStep lets a step of an execution end well, and with it begin the next one or end the Workflow, and says when that
// was about to be written, and when it was.
func (p *plane) finishStep(ctx context.Context, name string, step int) (began, written time.Time, err error) {
	wf := &wfv1.Workflow{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wf); err != nil {
		return began, written, err
	}
	was := wf.DeepCopy()
	argo.Succeed(nameOfStep(step), "changed=true", "previous-replicas=3")(wf)
	if step == last {
		wf.Status.Phase, wf.Status.FinishedAt = wfv1.WorkflowSucceeded, argo.Timestamp()
	} else {
		argo.Run(nameOfStep(step + 1))(wf)
	}
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
