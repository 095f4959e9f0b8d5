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

// measureColdStart measures how long the manager takes to come up where there are executions, nine of ten of which have
// ended: until it has looked at every live one, where nothing happened while it was away, and until it has caught up with
// every live one, where something happened in each.
func measureColdStart(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx, s.definitions)
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
		cold, err := p.coldStarts(ctx, s, live)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("cold start, %d executions, %d of them live: ", n, live)
		results = append(results, cold.tell(what)...)
		sizes, medians = append(sizes, float64(n)), append(medians, percentile(cold.caughtUp, 50))
	}
	return append(results, atMost("cold start: exponent of the median", exponent(sizes, medians), 1.1, "")), nil
}

// coldStartRounds is how often a cold start is repeated: at times the API server has work of its own, as the check of its
// caches against etcd every five minutes, which decodes every object.
const coldStartRounds = 5

// coldStarts is what cold starts took, a value each: seconds until the live executions were looked at where nothing had
// happened meanwhile, seconds until they were caught up with where something had happened to each, seconds until nothing was
// left to do then, and seconds of processor time; and the writes of all of them on what had ended.
type coldStarts struct {
	lookedAt, caughtUp, atRest, processor []float64
	writes                                int
}

func (c *coldStarts) tell(what string) []Result {
	const happened = "something happened to each meanwhile, "
	return []Result{
		atMost(what+"nothing happened meanwhile, time, median", percentile(c.lookedAt, 50), 15, "s"),
		told(what+"nothing happened meanwhile, time, longest", slices.Max(c.lookedAt), "s"),
		atMost(what+happened+"time, median", percentile(c.caughtUp, 50), 15, "s"),
		told(what+happened+"time, shortest", slices.Min(c.caughtUp), "s"),
		told(what+happened+"time, longest", slices.Max(c.caughtUp), "s"),
		told(what+happened+"time until it is at rest, with what has ended in its cache, median", percentile(c.atRest, 50), "s"),
		told(what+happened+"processor time until then, median", percentile(c.processor, 50), "s"),
		atMost(what+"writes on ended ones", float64(c.writes), 0, ""),
	}
}

// coldStarts repeats cold starts, in turn where something happened meanwhile and where nothing did.
func (p *plane) coldStarts(ctx context.Context, s *settings, live int) (all coldStarts, err error) {
	for round := range coldStartRounds {
		if err := each(0, live, func(i int) error { return p.fallBehind(ctx, fmt.Sprintf("live-%d", i)) }); err != nil {
			return all, err
		}
		one, err := p.coldStart(ctx, s, live, round == coldStartRounds-1)
		if err != nil {
			return all, err
		}
		all.caughtUp, all.atRest = append(all.caughtUp, one.caughtUp), append(all.atRest, one.atRest)
		all.processor, all.writes = append(all.processor, one.processor), all.writes+one.writes
		quiet, err := p.quietStart(ctx, live)
		if err != nil {
			return all, err
		}
		all.lookedAt = append(all.lookedAt, quiet)
	}
	return all, nil
}

// quietStart is how many seconds a manager that is started takes to look at every live execution where nothing is to be done:
// until it has looked as often as there are live ones and none is queued, with the last ones perhaps still being looked at.
func (p *plane) quietStart(ctx context.Context, live int) (seconds float64, err error) {
	began := time.Now()
	m, err := p.manage(ctx)
	if err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		looks := total(samples, "controller_runtime_reconcile_total{")
		return looks >= float64(live) && total(samples, queued) == 0, errors.Join(err, m.hasEnded())
	})
	return time.Since(began).Seconds(), errors.Join(err, m.stop())
}

// start is what a cold start took: seconds until the live executions were caught up with and until nothing was left to do,
// seconds of processor time, and writes on what had ended.
type start struct {
	caughtUp, atRest, processor float64
	writes                      int
}

// coldStart starts a manager, and measures. A profile takes time of its own.
func (p *plane) coldStart(ctx context.Context, s *settings, live int, profiled bool) (took start, err error) {
	if _, err := p.writes(); err != nil {
		return took, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	// Nobody but the manager writes on them now, and one write catches up; what it wrote is read when it has been measured.
	behind := map[string]string{}
	caughtUp, err := watchPhase(watching, p.Admin, "default", wfev1.PhaseRunning, func(object client.Object) bool {
		before, known := behind[object.GetName()]
		behind[object.GetName()] = object.GetResourceVersion()
		return known && before != object.GetResourceVersion()
	})
	if err != nil {
		return took, err
	}
	began := time.Now()
	m, err := p.manage(ctx)
	if err != nil {
		return took, err
	}
	if profiled {
		go m.profile(s, fmt.Sprintf("cold-%d", live), 5)
		go p.profileServer(ctx, s, fmt.Sprintf("cold-%d-apiserver", live), 5)
	}
	if err := caughtUp.wait(ctx, func() bool { return caughtUp.count() >= live }); err != nil {
		return took, err
	}
	took.caughtUp = time.Since(began).Seconds()
	if err := m.waitForQuiet(ctx); err != nil {
		return took, err
	}
	took.atRest = time.Since(began).Seconds()
	if took.processor, err = m.processor(); err != nil {
		return took, err
	}
	if err := p.checkCaughtUp(ctx, live); err != nil {
		return took, err
	}
	written, err := p.writes()
	if err != nil {
		return took, err
	}
	for i := range written {
		if w := &written[i]; !isAsked(w) && !strings.HasPrefix(w.ObjectRef.Name, "live-") {
			took.writes++
		}
	}
	return took, m.stop()
}

// checkCaughtUp makes sure that what was measured is what was meant.
func (p *plane) checkCaughtUp(ctx context.Context, live int) error {
	list := &wfev1.WorkflowExecutionList{}
	if err := p.Admin.List(ctx, list, client.MatchingFields{"status.phase": string(wfev1.PhaseRunning)}); err != nil {
		return err
	}
	caughtUp := 0
	for i := range list.Items {
		if list.Items[i].Status.Progress == fmt.Sprintf("%d/%d", liveSteps-1, liveSteps) {
			caughtUp++
		}
	}
	if caughtUp != live || len(list.Items) != live {
		return fmt.Errorf("%d of %d live executions are caught up with, where there are %d", caughtUp, len(list.Items), live)
	}
	return nil
}

// fallBehind takes the status of a live execution back to where it was before its steps began.
func (p *plane) fallBehind(ctx context.Context, name string) error {
	wfe := &wfev1.WorkflowExecution{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wfe); err != nil {
		return err
	}
	behind := seededStatus(wfe)
	behind.DeepCopyInto(&wfe.Status)
	return p.Admin.Status().Update(ctx, wfe)
}
