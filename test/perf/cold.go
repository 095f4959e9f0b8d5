package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// measureColdStart measures how long the manager takes to come up where there are executions, nine of ten of which have
// ended, until it has caught up with every live one, in all of which something happened while it was away.
func measureColdStart(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	yesterday := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	var sizes, times []float64
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
		if err := each(0, live, func(i int) error { return p.fallBehind(ctx, fmt.Sprintf("live-%d", i)) }); err != nil {
			return nil, err
		}
		start, err := p.coldStart(ctx, s, live)
		if err != nil {
			return nil, err
		}
		sizes, times = append(sizes, float64(n)), append(times, start.caughtUp)
		what := fmt.Sprintf("cold start, %d executions, %d of them live: ", n, live)
		results = append(results,
			atMost(what+"time", start.caughtUp, 15, "s"),
			told(what+"time until it is at rest, with what has ended in its cache", start.atRest, "s"),
			told(what+"processor time until then", start.processor, "s"),
			atMost(what+"writes on ended ones", float64(start.writes), 0, ""))
	}
	return append(results, atMost("cold start: exponent of time", exponent(sizes, times), 1.1, "")), nil
}

// start is what a cold start took: seconds until the live executions were caught up with and until nothing was left to do,
// seconds of processor time, and writes on what had ended.
type start struct {
	caughtUp, atRest, processor float64
	writes                      int
}

// coldStart starts a manager, and measures.
func (p *plane) coldStart(ctx context.Context, s *settings, live int) (took start, err error) {
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
	go m.profile(s, fmt.Sprintf("cold-%d", live), 5)
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
		if w := &written[i]; !isAsked(w) && (len(w.ObjectRef.Name) < 5 || w.ObjectRef.Name[:5] != "live-") {
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
