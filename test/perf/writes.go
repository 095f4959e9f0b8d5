package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// restPeriod is the time without changes in which the controller must write nothing.
const restPeriod = 5 * time.Second

var argo = simulator.Argo{Now: time.Now}

// measureWrites counts the controller's writes for an execution in the API server's audit log.
func measureWrites(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newControlPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	if _, err := p.manage(ctx); err != nil {
		return nil, err
	}
	for _, steps := range []int{1, 5, 100, 500} {
		counted, err := p.writesOf(ctx, fmt.Sprintf("together-%d", steps), steps, true)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("writes for %d steps whose nodes change together", steps)
		results = append(results, atMost(what, float64(counted.all), maxWrites, ""), atMost(what+": events a phase", float64(counted.events)/2, 1, ""))
		results = append(results, info(what+": refused with a conflict", float64(counted.refused), ""))
		for _, kind := range sorted(counted.kinds) {
			results = append(results, info(what+": "+kind, float64(counted.kinds[kind]), ""))
		}
	}
	const steps = 10
	counted, err := p.writesOf(ctx, "apart", steps, false)
	if err != nil {
		return nil, err
	}
	// The start is one more change.
	updates := float64(counted.kinds["update workflowexecutions/status"])
	results = append(results,
		info("writes for 10 steps one after another", float64(counted.all), ""),
		atMost("writes for 10 steps one after another: status updates a change", updates/float64(counted.changes+1), 1, ""))
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(restPeriod):
	}
	rest, err := p.writes()
	if err != nil {
		return nil, err
	}
	return append(results, atMost("writes in 5 s without a change", float64(len(rest)), 0, "")), nil
}

// count is the number of writes for one execution.
type count struct {
	kinds   map[string]int
	all     int
	events  int
	refused int
	changes int
}

// writesOf takes an execution to its end, with all steps together or one after another, and counts the writes.
func (p *controlPlane) writesOf(ctx context.Context, name string, steps int, together bool) (*count, error) {
	if _, err := p.writes(); err != nil { // skips earlier writes
		return nil, err
	}
	wfe := p.simple(name, steps)
	if err := p.Admin.Create(ctx, wfe); err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, name, func(status *wfev1.WorkflowExecutionStatus) bool { return status.Phase == wfev1.PhaseRunning }); err != nil {
		return nil, err
	}
	changes := p.changesOf(wfe, together)
	for i, change := range changes {
		if err := p.apply(ctx, name, change...); err != nil {
			return nil, err
		}
		seen := func(status *wfev1.WorkflowExecutionStatus) bool { return isMirrored(status, i, steps, together) }
		if err := p.waitFor(ctx, name, seen); err != nil {
			return nil, err
		}
	}
	err := until(ctx, func() (bool, error) {
		wf := &wfv1.Workflow{}
		err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wf)
		return err == nil && len(wf.Finalizers) == 0, err
	})
	if err != nil {
		return nil, err
	}
	counted := &count{kinds: map[string]int{}, changes: len(changes)}
	// Events are sent in the background. The last one is for the end.
	return counted, until(ctx, func() (bool, error) {
		writes, err := p.writes()
		for i := range writes {
			switch w := &writes[i]; {
			case w.ObjectRef.Resource == "events" && strings.HasPrefix(w.ObjectRef.Name, name+"."), w.ObjectRef.Resource == "events" && w.ObjectRef.Name == "":
				counted.events++
			case isReviewOrEvent(w):
			case w.ResponseStatus.Code >= http.StatusBadRequest:
				counted.refused++
			default:
				counted.all++
				counted.kinds[w.Verb+" "+w.Resource()]++
			}
		}
		return counted.events >= 2, err
	})
}

// changesOf are the changes of the nodes of an execution. Argo writes each of them once.
func (p *controlPlane) changesOf(wfe *wfev1.WorkflowExecution, together bool) [][]simulator.Event {
	var running, ended []simulator.Event
	var apart [][]simulator.Event
	for i := range wfe.Spec.Steps {
		name := wfe.Spec.Steps[i].Name
		running = append(running, argo.Run(name))
		ended = append(ended, argo.Succeed(name, "changed=true", "previous-replicas=3"))
		apart = append(apart, []simulator.Event{argo.Run(name)}, []simulator.Event{argo.Succeed(name, "changed=true", "previous-replicas=3")})
	}
	if together {
		return [][]simulator.Event{running, append(ended, argo.Finish(wfv1.WorkflowSucceeded))}
	}
	apart[len(apart)-1] = append(apart[len(apart)-1], argo.Finish(wfv1.WorkflowSucceeded))
	return apart
}

// isMirrored reports whether a status shows the change with the given index in the result of changesOf.
func isMirrored(status *wfev1.WorkflowExecutionStatus, change, steps int, together bool) bool {
	running, ended := 0, 0
	for i := range status.Steps {
		switch status.Steps[i].Phase {
		case wfev1.StepRunning:
			running++
		case wfev1.StepCompleted:
			ended++
		default:
		}
	}
	switch {
	case together && change == 0:
		return running == steps
	case together:
		return status.Phase == wfev1.PhaseCompleted
	case change == 2*steps-1:
		return status.Phase == wfev1.PhaseCompleted
	case change%2 == 0:
		return running == 1 && ended == change/2
	default:
		return ended == change/2+1
	}
}

// apply applies events to a Workflow in one write.
func (p *controlPlane) apply(ctx context.Context, name string, events ...simulator.Event) error {
	was := &wfv1.Workflow{}
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, was); err != nil {
		return err
	}
	wf := was.DeepCopy()
	if wf.Status.Phase == "" {
		argo.PickUp(wf)
	}
	for _, event := range events {
		event(wf)
	}
	return p.Admin.Patch(ctx, wf, client.MergeFrom(was))
}

// waitFor waits until the status of an execution matches.
func (p *controlPlane) waitFor(ctx context.Context, name string, matches func(*wfev1.WorkflowExecutionStatus) bool) error {
	return until(ctx, func() (bool, error) {
		wfe := &wfev1.WorkflowExecution{}
		err := p.Admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, wfe)
		return err == nil && matches(&wfe.Status), err
	})
}

// writes are the controller's writes since the last call, without leases.
func (p *controlPlane) writes() ([]controlplane.Request, error) {
	requests, err := p.Requests()
	return slices.DeleteFunc(requests, func(r controlplane.Request) bool {
		return slices.Contains([]string{"get", "list", "watch"}, r.Verb) || r.ObjectRef.Resource == "leases"
	}), err
}

// isReviewOrEvent reports whether a write is an access review, which changes nothing, or an event.
func isReviewOrEvent(w *controlplane.Request) bool {
	return strings.HasSuffix(w.ObjectRef.Resource, "subjectaccessreviews") || w.ObjectRef.Resource == "events"
}
