package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// coldStartRounds is how many times a cold start is repeated: the API server has work of its own at times.
const coldStartRounds = 3

// measureColdStart measures the time from the start of the manager until the status of every live execution is up to date. One
// in ten executions is live, and all nodes of these changed while no manager ran.
func measureColdStart(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newControlPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	yesterday := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	var sizes, medians []float64
	live, ended := 0, 0
	for _, n := range []int{s.count / 10, s.count / 3, s.count} {
		if err := p.seedAll(ctx, "ended", ended, n-n/10, &yesterday); err != nil {
			return nil, err
		}
		ended = n - n/10
		if err := p.seedAll(ctx, "live", live, n/10, nil); err != nil {
			return nil, err
		}
		live = n / 10
		times, writes, err := p.coldStarts(ctx, s, live)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("cold start, %d executions, %d of them live: ", n, live)
		results = append(results,
			info(what+"median time", percentile(times, 50), "s"),
			info(what+"longest time", slices.Max(times), "s"),
			atMost(what+"writes on ended executions", float64(writes), 0, ""))
		sizes, medians = append(sizes, float64(n)), append(medians, percentile(times, 50))
	}
	return append(results, atMost("cold start: exponent of the median", exponent(sizes, medians), maxColdStartExponent, "")), nil
}

// coldStarts repeats cold starts and returns the seconds that each took, and the number of writes on ended executions.
func (p *controlPlane) coldStarts(ctx context.Context, s *settings, live int) (times []float64, writes int, err error) {
	for round := range coldStartRounds {
		if err := each(0, live, func(i int) error { return p.makeStale(ctx, fmt.Sprintf("live-%d", i)) }); err != nil {
			return nil, 0, err
		}
		took, written, err := p.coldStart(ctx, s, live, round == coldStartRounds-1)
		if err != nil {
			return nil, 0, err
		}
		times, writes = append(times, took), writes+written
	}
	return times, writes, nil
}

// coldStart starts a manager and measures. Taking a profile costs time.
func (p *controlPlane) coldStart(ctx context.Context, s *settings, live int, profiled bool) (seconds float64, writes int, err error) {
	if _, err := p.writes(); err != nil {
		return 0, 0, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	// Only the manager writes to the executions, and one write brings a status up to date; checkUpToDate reads them later.
	versions := map[string]string{}
	updated, err := watchPhase(watching, p.Admin, "default", wfev1.PhaseRunning, func(object client.Object) bool {
		before, known := versions[object.GetName()]
		versions[object.GetName()] = object.GetResourceVersion()
		return known && before != object.GetResourceVersion()
	})
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	m, err := p.manage(ctx)
	if err != nil {
		return 0, 0, err
	}
	if profiled {
		go m.profile(s, fmt.Sprintf("cold-%d", live), 5)
		go p.profileServer(ctx, s, fmt.Sprintf("cold-%d-apiserver", live), 5)
	}
	if err := updated.wait(ctx, func() bool { return updated.count() >= live }); err != nil {
		return 0, 0, err
	}
	seconds = time.Since(began).Seconds()
	if err := m.waitForQuiet(ctx); err != nil {
		return 0, 0, err
	}
	if err := p.checkUpToDate(ctx, live); err != nil {
		return 0, 0, err
	}
	written, err := p.writes()
	if err != nil {
		return 0, 0, err
	}
	for i := range written {
		if w := &written[i]; !isReviewOrEvent(w) && !strings.HasPrefix(w.ObjectRef.Name, "live-") {
			writes++
		}
	}
	return seconds, writes, m.stop()
}

// checkUpToDate checks that the measured starts did the intended work.
func (p *controlPlane) checkUpToDate(ctx context.Context, live int) error {
	list := &wfev1.WorkflowExecutionList{}
	if err := p.Admin.List(ctx, list, client.MatchingFields{"status.phase": string(wfev1.PhaseRunning)}); err != nil {
		return err
	}
	upToDate := 0
	for i := range list.Items {
		if list.Items[i].Status.Progress == fmt.Sprintf("%d/%d", liveSteps-1, liveSteps) {
			upToDate++
		}
	}
	if upToDate != live || len(list.Items) != live {
		return fmt.Errorf("%d of %d live executions are up to date, want %d", upToDate, len(list.Items), live)
	}
	return nil
}

// makeStale resets the status of a live execution to the state before its steps began.
func (p *controlPlane) makeStale(ctx context.Context, name string) error {
	wfe := &wfev1.WorkflowExecution{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wfe); err != nil {
		return err
	}
	stale := seededStatus(wfe)
	stale.DeepCopyInto(&wfe.Status)
	return p.Admin.Status().Update(ctx, wfe)
}
