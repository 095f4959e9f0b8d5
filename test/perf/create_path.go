package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// createRounds is how many times each sustained rate is measured, in turn.
	createRounds = 5
	// maxOneByOne is the maximum number of objects of each kind that are created one after another, in turn.
	maxOneByOne = 200
	// createSteps is the number of steps of each execution.
	createSteps = 5
)

// creation creates one object that results in a Workflow of its name.
type creation func(ctx context.Context, name string) error

// measureCreatePath measures the time until the Workflow of an execution is visible and the sustained rate of executions, and
// both for the same Workflows created directly.
func measureCreatePath(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newControlPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	seen, err := p.watchWorkflows(ctx)
	if err != nil {
		return nil, err
	}
	// The metadata of direct Workflows makes the controller ignore them.
	direct := func(ctx context.Context, name string) error {
		wf := plan(p.simple(name, createSteps), p.catalog).Workflow(translate.Options{})
		wf.Labels, wf.OwnerReferences, wf.Finalizers = nil, nil, nil
		return p.Admin.Create(ctx, wf)
	}
	ours := func(ctx context.Context, name string) error { return p.Admin.Create(ctx, p.simple(name, createSteps)) }
	go m.profile(s, "create", 10)
	go p.profileServer(ctx, s, "create-apiserver", 10)
	oneByOne := min(maxOneByOne, max(1, s.count/5))
	directLatencies, latencies, err := p.createOneByOne(ctx, seen, direct, ours, oneByOne)
	if err != nil {
		return nil, err
	}
	var rates, ratios []float64
	for round := range createRounds {
		n := max(1, s.count/createRounds)
		directRate, err := rate(ctx, seen, direct, fmt.Sprintf("direct-rate-%d", round), n)
		if err != nil {
			return nil, err
		}
		ourRate, err := rate(ctx, seen, ours, fmt.Sprintf("our-rate-%d", round), n)
		if err != nil {
			return nil, err
		}
		rates, ratios = append(rates, ourRate), append(ratios, ourRate/directRate)
		// Work that is left from these must not disturb the next round.
		if err := m.waitForActive(ctx, oneByOne+(round+1)*n); err != nil {
			return nil, err
		}
	}
	log, err := os.ReadFile(m.log)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("create path, %d executions: ", s.count)
	return []Result{
		info(what+"p50 until the Workflow is visible", percentile(latencies, 50)*1e3, "ms"),
		info(what+"p50 of a Workflow created directly", percentile(directLatencies, 50)*1e3, "ms"),
		atMost(what+"p50 / direct p50", percentile(latencies, 50)/percentile(directLatencies, 50), maxCreateRatio, ""),
		info(what+"sustained rate", percentile(rates, 50), "1/s"),
		atLeast(what+"sustained rate / direct", percentile(ratios, 50), minRateRatio),
		atMost(what+"throttled by our own client", float64(strings.Count(string(log), "client-side throttling")), 0, "times"),
	}, nil
}

// createOneByOne creates objects in turn and measures the seconds until the Workflow of each is visible.
func (p *controlPlane) createOneByOne(ctx context.Context, seen *firstSeen, direct, ours creation, n int) (directLatencies, latencies []float64, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The event for its start is the last thing that the controller writes for an execution here.
	events, err := watchMetadata(ctx, p.Admin, "default", eventsv1.SchemeGroupVersion.WithKind("EventList"), func(client.Object) bool { return true })
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		took, err := latency(ctx, seen, direct, fmt.Sprintf("direct-%d", i))
		if err != nil {
			return nil, nil, err
		}
		directLatencies = append(directLatencies, took)
		if took, err = latency(ctx, seen, ours, fmt.Sprintf("ours-%d", i)); err != nil {
			return nil, nil, err
		}
		latencies = append(latencies, took)
		if err := events.wait(ctx, func() bool { return events.count() > i }); err != nil {
			return nil, nil, err
		}
	}
	return directLatencies, latencies, nil
}

// simple is an execution of a chain of steps.
func (p *controlPlane) simple(name string, steps int) *wfev1.WorkflowExecution {
	wfe := shapes[0].execution(name, steps)
	wfe.UID = ""
	return wfe
}

// latency is the number of seconds from the creation of an object until its Workflow is visible.
func latency(ctx context.Context, seen *firstSeen, create creation, name string) (float64, error) {
	began := time.Now()
	if err := create(ctx, name); err != nil {
		return 0, err
	}
	at, err := seen.waitFor(ctx, name)
	return at.Sub(began).Seconds(), err
}

// rate creates objects as fast as possible and returns how many Workflows became visible per second.
func rate(ctx context.Context, seen *firstSeen, create creation, prefix string, n int) (float64, error) {
	before := seen.count()
	began := time.Now()
	if err := each(0, n, func(i int) error { return create(ctx, fmt.Sprintf("%s-%d", prefix, i)) }); err != nil {
		return 0, err
	}
	if err := seen.wait(ctx, func() bool { return seen.count() >= before+n }); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
