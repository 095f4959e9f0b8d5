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
	// createRounds is how often the rates of ours and theirs are measured, in turn.
	createRounds = 5
	// mostOneByOne is how many of each are created one after another, in turn, at most.
	mostOneByOne = 200
	// createSteps is how many steps they have.
	createSteps = 5
)

// creation creates one object that leads to a Workflow of its name.
type creation func(ctx context.Context, name string) error

// measureCreation measures how long it takes until the Workflow of an execution can be seen, and how many a second can be
// had, beside creating the same Workflows directly.
func measureCreation(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx, s.definitions)
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
	watching, stop := context.WithCancel(ctx)
	defer stop()
	// The event that an execution has started is the last that is done about it for now.
	events, err := watchMetadata(watching, p.Admin, "default", eventsv1.SchemeGroupVersion.WithKind("EventList"), func(client.Object) bool { return true })
	if err != nil {
		return nil, err
	}
	oneByOne := min(mostOneByOne, max(1, s.count/5))
	ours := func(ctx context.Context, name string) error { return p.Admin.Create(ctx, p.simple(name, createSteps)) }
	// Nobody but Argo shall see the direct ones.
	theirs := func(ctx context.Context, name string) error {
		wf := plan(p.simple(name, createSteps), p.catalog).Workflow(translate.Options{})
		wf.Labels, wf.OwnerReferences, wf.Finalizers = nil, nil, nil
		return p.Admin.Create(ctx, wf)
	}
	go m.profile(s, "create", 10)
	go p.profileServer(ctx, s, "create-apiserver", 10)
	var mine, direct []float64
	var rates, quotients []float64
	for i := range oneByOne {
		took, err := latency(ctx, seen, theirs, fmt.Sprintf("theirs-%d", i))
		if err != nil {
			return nil, err
		}
		direct = append(direct, took)
		if took, err = latency(ctx, seen, ours, fmt.Sprintf("ours-%d", i)); err != nil {
			return nil, err
		}
		mine = append(mine, took)
		if err := events.wait(ctx, func() bool { return events.count() > i }); err != nil {
			return nil, err
		}
	}
	stop() // what is watched from here on is watched for both
	var spentDirectly, spentByUs float64
	for round := range createRounds {
		n := max(1, s.count/createRounds)
		atFirst, err := childrenTime()
		if err != nil {
			return nil, err
		}
		directly, err := rate(ctx, seen, theirs, fmt.Sprintf("their-rate-%d", round), n)
		if err != nil {
			return nil, err
		}
		between, err := childrenTime()
		if err != nil {
			return nil, err
		}
		through, err := rate(ctx, seen, ours, fmt.Sprintf("our-rate-%d", round), n)
		if err != nil {
			return nil, err
		}
		rates, quotients = append(rates, through), append(quotients, through/directly)
		// What is left to do for these must not count for the next ones.
		if err := m.waitForActive(ctx, oneByOne+(round+1)*n); err != nil {
			return nil, err
		}
		atLast, err := childrenTime()
		if err != nil {
			return nil, err
		}
		spentDirectly, spentByUs = spentDirectly+between-atFirst, spentByUs+atLast-between
	}
	log, err := os.ReadFile(m.log)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("create path, %d executions: ", s.count)
	results, err = m.spent(what)
	if err != nil {
		return nil, err
	}
	return append([]Result{
		told(what+"p50 until the Workflow is visible", percentile(mine, 50)*1e3, "ms"),
		told(what+"p99 until the Workflow is visible", percentile(mine, 99)*1e3, "ms"),
		told(what+"p50 of a Workflow created directly", percentile(direct, 50)*1e3, "ms"),
		told(what+"p99 of a Workflow created directly", percentile(direct, 99)*1e3, "ms"),
		atMost(what+"p50 / direct p50", percentile(mine, 50)/percentile(direct, 50), 2, ""),
		told(what+"sustained rate", percentile(rates, 50), "1/s"),
		atLeast(what+"sustained rate / direct", percentile(quotients, 50), 0.28),
		told(what+"processor time of API server, etcd and manager an execution", spentByUs/float64(s.count)*1e3, "ms"),
		told(what+"processor time, directly / as executions", spentDirectly/spentByUs, ""),
		atMost(what+"throttled by our own client", float64(strings.Count(string(log), "client-side throttling")), 0, "times"),
	}, results...), nil
}

// spent says where the manager spent its time, on average.
func (m *manager) spent(what string) ([]Result, error) {
	samples, _, _, err := m.scrape()
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, histogram := range []struct{ name, family string }{
		{"waiting in the queue", "workqueue_queue_duration_seconds"},
		{"a reconcile", "controller_runtime_reconcile_time_seconds"},
		{"a request of the manager's", "rest_client_request_duration_seconds"},
	} {
		seconds, count := total(samples, histogram.family+"_sum"), total(samples, histogram.family+"_count")
		results = append(results, told(what+histogram.name+", on average", seconds/max(count, 1)*1e3, "ms"))
	}
	return results, nil
}

// simple is an execution of so many steps, one after another.
func (p *plane) simple(name string, steps int) *wfev1.WorkflowExecution {
	wfe := shapes[0].execution(name, steps)
	wfe.UID = ""
	return wfe
}

// latency is how many seconds it takes until the Workflow of what is created is seen.
func latency(ctx context.Context, seen *sight, create creation, name string) (float64, error) {
	began := time.Now()
	if err := create(ctx, name); err != nil {
		return 0, err
	}
	at, err := seen.waitFor(ctx, name)
	return at.Sub(began).Seconds(), err
}

// rate creates as many as it can, and says how many Workflows a second could be seen.
func rate(ctx context.Context, seen *sight, create creation, prefix string, n int) (float64, error) {
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
