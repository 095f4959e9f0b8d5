package controllers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// disturbance disturbs one call of the controller to the API server.
type disturbance struct {
	// call is the index of the call. A negative index disturbs none.
	call int
	// takesEffect lets the call take effect first.
	takesEffect bool
	// stops stops the controller. Otherwise the call returns an error and the controller goes on.
	stops bool
	// meanwhile happens while no controller runs.
	meanwhile string
}

func (d disturbance) String() string {
	text := fmt.Sprintf("call %d", d.call)
	if d.takesEffect {
		text += ", which takes effect"
	}
	if d.stops {
		return text + ", stops the controller; meanwhile " + d.meanwhile
	}
	return text + ", returns an error"
}

// What happens while no controller runs.
const (
	nothing          = "nothing"
	argoRuns         = "Argo runs"
	workflowsDeleted = "the Workflows are deleted"
)

// result is the result of a play.
type result struct {
	simulation *simulation
	// calls are the calls to the API server, also those that did not reach it.
	calls []call
	// state is the final state of all objects, without times and identities.
	state string
	// counted are the counters of all controllers together.
	counted seriesValues
}

// disturbedCall is the disturbed call.
func (r *result) disturbedCall(d disturbance) call {
	if d.call < len(r.calls) {
		return r.calls[d.call]
	}
	return call{}
}

// play plays a scenario with a disturbance.
func play(namespace string, sc *scenario, d disturbance) (r *result, err error) {
	r = &result{}
	defer func() {
		if recovered := recover(); recovered != nil {
			err = fmt.Errorf("panic: %v", recovered)
		}
	}()
	s := newSimulation(namespace, sc.userActions)
	r.simulation = s
	if err := s.refresh(); err != nil {
		return r, err
	}
	s.script = sc.script(s)
	if sc.atOnce {
		s.calls.inject(isCreationOf("x"), justOnce(func(_ call, proceed func() error) error {
			return errors.Join(s.reconcile("y"), proceed())
		}))
	}
	s.calls.inject(func(c call) bool { return c.live || !c.isRead() }, func(c call, proceed func() error) error {
		if s.stopped {
			return errStopped
		}
		r.calls = append(r.calls, c)
		if len(r.calls)-1 != d.call {
			return proceed()
		}
		if d.takesEffect {
			_ = proceed() // the response is lost
		}
		fmt.Fprintf(s.log, "-- %s %s: %s\n", c, c.key, d)
		s.stopped = d.stops
		if d.stops {
			return errStopped
		}
		return apierrors.NewTimeoutError("no response", 1)
	})
	for _, wfe := range sc.apply {
		if err := s.apply(wfe); err != nil {
			return r, err
		}
	}
	for {
		if err := s.play(); err != nil {
			return r, err
		}
		if !s.stopped {
			break
		}
		if err := s.runWithoutController(d.meanwhile); err != nil {
			return r, err
		}
		s.startController()
	}
	r.counted = counters(s)
	r.state, err = describe(s)
	return r, errors.Join(err, s.check(), s.cleanUp())
}

// runWithoutController runs what happens between two controllers.
func (s *simulation) runWithoutController(meanwhile string) error {
	switch meanwhile {
	case argoRuns:
		for acted := true; acted; {
			if err := s.refresh(); err != nil {
				return err
			}
			var err error
			if acted, err = s.runArgo(); err != nil {
				return err
			}
		}
	case workflowsDeleted:
		if err := s.refresh(); err != nil {
			return err
		}
		for _, wf := range s.stored.Workflows {
			if err := client.IgnoreNotFound(s.api.Delete(ctx, wf)); err != nil {
				return err
			}
		}
	}
	return nil
}

// check checks what must hold after every play.
func (s *simulation) check() error {
	var errs []error
	for workflow, created := range s.calls.creations() {
		if created != 1 {
			errs = append(errs, fmt.Errorf("%d Workflows were created: %s", created, workflow))
		}
	}
	for node, started := range s.starts {
		if started != 1 {
			errs = append(errs, fmt.Errorf("step %s started %d times", node, started))
		}
	}
	for name, wfe := range s.stored.Executions {
		if !wfe.Status.Phase.IsTerminal() {
			errs = append(errs, fmt.Errorf("execution %s does not end: its phase is %s", name, wfe.Status.Phase))
		}
	}
	for name, wf := range s.stored.Workflows {
		if slices.Contains(wf.Finalizers, wfev1.FinalizerObserved) {
			errs = append(errs, fmt.Errorf("workflow %s still has its finalizer", name))
		}
	}
	recorded := seriesValues{}
	for name, wfe := range s.last {
		recorded.add(recordedIn(wfe, s.stored.Executions[name] == nil))
	}
	for series, value := range counters(s) {
		if value > recorded[series] {
			errs = append(errs, fmt.Errorf("%s is %v, and the statuses record %v", series, value, recorded[series]))
		}
	}
	return errors.Join(errs...)
}

// counters are the counters of ends of all controllers of a simulation together.
func counters(s *simulation) seriesValues {
	sum := seriesValues{}
	for _, registry := range s.registries {
		for series, value := range countersOf(registry) {
			if value != 0 && countsEnds(series) {
				sum[series] += value
			}
		}
	}
	return sum
}

// countsEnds reports whether a series counts ends.
func countsEnds(series string) bool {
	name, _, _ := strings.Cut(series, "{")
	return strings.HasSuffix(name, "_total") || name == "total"
}

// recordedIn are the expected counters for an execution with its last status.
func recordedIn(wfe *wfev1.WorkflowExecution, gone bool) seriesValues {
	t, status := seriesValues{}, &wfe.Status
	if wfe.Spec.DryRun {
		if status.Phase.IsTerminal() {
			t["dry_runs_total{status="+strings.ToLower(string(status.Phase))+"}"]++
		}
		return t
	}
	executed := 0.0
	for _, s := range status.Steps {
		switch {
		case s.Action == "":
			continue
		case s.Phase == wfev1.StepSkipped:
			t["step_skipped_total{action="+s.Action+"}"]++
			continue
		case s.Phase == wfev1.StepCompleted || s.Phase == wfev1.StepFailed:
			t["step_execution_total{action="+s.Action+",status="+strings.ToLower(string(s.Phase))+"}"]++
			executed++
		}
		if s.Phase.IsTerminal() && s.Attempts > 1 {
			t["step_retries_total{action="+s.Action+"}"] += float64(s.Attempts - 1)
		}
	}
	for _, s := range status.RollbackSteps {
		if s.Phase == wfev1.StepCompleted || s.Phase == wfev1.StepFailed {
			t["rollback_step_execution_total{action="+s.Action+",status="+strings.ToLower(string(s.Phase))+"}"]++
		}
	}
	switch {
	case status.Phase == wfev1.PhaseCancelled || gone && !status.Phase.IsTerminal():
		t["cancelled_total"]++
	case status.Phase.IsTerminal():
		t["total{status="+strings.ToLower(string(status.Phase))+"}"]++
	}
	if !status.Phase.IsTerminal() {
		return t
	}
	if status.Phase == wfev1.PhaseFailed {
		t["failures_total{reason="+string(status.Failure.Reason)+"}"]++
	}
	if status.RollbackRef != nil || meta.FindStatusCondition(status.Conditions, wfev1.ConditionRolledBack) != nil {
		end := "failed"
		if meta.IsStatusConditionTrue(status.Conditions, wfev1.ConditionRolledBack) {
			end = "completed"
		}
		t["rollback_total{status="+end+"}"]++
	}
	t["steps_executed_total"] += executed
	if status.ParallelSteps != nil {
		t["parallel_steps_total"] += float64(*status.ParallelSteps)
	}
	return t.withoutZeros()
}

func (t seriesValues) withoutZeros() seriesValues {
	maps.DeleteFunc(t, func(_ string, value float64) bool { return value == 0 })
	return t
}

// endOf summarizes the end of an execution.
func endOf(wfe *wfev1.WorkflowExecution, gone bool) string {
	text := string(wfe.Status.Phase)
	if wfe.Status.Failure != nil {
		text += " " + string(wfe.Status.Failure.Reason)
	}
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		text += " RolledBack=" + string(c.Status)
	}
	if gone {
		text += ", gone"
	}
	return text
}

func (s *simulation) ends() []string {
	var ends []string
	for _, name := range slices.Sorted(maps.Keys(s.last)) {
		ends = append(ends, endOf(s.last[name], s.stored.Executions[name] == nil))
	}
	return ends
}

// volatile matches what differs between two plays of the same scenario: times, versions, identities and values that depend on
// whole seconds.
var volatile = regexp.MustCompile(`"(uid|[a-zA-Z]*[tT]ime|[a-z]+edAt|resourceVersion|podName|duration|generation|observedGeneration)":("[^"]*"|[0-9]+|null)`)

// optional matches lines whose presence depends on whole seconds.
var optional = regexp.MustCompile(`(?m)^ *"(approvalWaitSeconds|suspendedSeconds|parallelSteps)":.*\n`)

// describe describes all objects of a simulation.
func describe(s *simulation) (string, error) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.last)) {
		encoded, err := json.MarshalIndent(s.last[name].Status, "", " ")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "execution %s, gone %t: %s\n", name, s.stored.Executions[name] == nil, encoded)
	}
	for _, name := range slices.Sorted(maps.Keys(s.stored.Workflows)) {
		wf := s.stored.Workflows[name]
		fmt.Fprintf(&text, "workflow %s: %s, shutdown %q, suspended %t, finalizers %v\n", name, wf.Status.Phase, wf.Spec.Shutdown, isSuspended(wf), wf.Finalizers)
		for _, node := range slices.SortedFunc(maps.Values(wf.Status.Nodes), func(a, b wfv1.NodeStatus) int { return strings.Compare(a.Name, b.Name) }) {
			fmt.Fprintf(&text, " %s: %s %s\n", node.Name, node.Phase, node.Message)
		}
	}
	return volatile.ReplaceAllString(optional.ReplaceAllString(strings.ReplaceAll(text.String(), `": `, `":`), ""), `"$1":…`), nil
}

// compare checks a disturbed play against the undisturbed one.
func compare(want, got *result, d disturbance) error {
	if d.stops && d.meanwhile != nothing {
		return nil // Argo or a user did more than in the undisturbed play
	}
	var errs []error
	if diff := cmp.Diff(want.state, got.state); diff != "" {
		errs = append(errs, fmt.Errorf("different final state (-undisturbed +disturbed):\n%s", diff))
	}
	mayLose := d.takesEffect // the counts of the disturbed call can be lost
	for series, value := range want.counted {
		if more := got.counted[series] - value; more > 0 || more < 0 && !mayLose && series != "parallel_steps_total" {
			errs = append(errs, fmt.Errorf("%s is %v, and %v in the undisturbed play", series, got.counted[series], value))
		}
	}
	return errors.Join(errs...)
}

// disturbances are all disturbances of the calls of a scenario. A read takes no effect, and a controller that stops at a read
// leaves the same state as after the previous write.
func disturbances(calls []call) []disturbance {
	var all []disturbance
	for i, c := range calls {
		for _, takesEffect := range []bool{false, true} {
			if takesEffect && c.isRead() {
				continue
			}
			all = append(all, disturbance{call: i, takesEffect: takesEffect}, disturbance{call: i, takesEffect: takesEffect, stops: true, meanwhile: nothing})
			if !c.isRead() {
				all = append(all, disturbance{call: i, takesEffect: takesEffect, stops: true, meanwhile: argoRuns}, disturbance{call: i, takesEffect: takesEffect, stops: true, meanwhile: workflowsDeleted})
			}
		}
	}
	return all
}

// checkCrashPoints plays every scenario undisturbed, and then with the disturbances of all calls of the controller to the API
// server: with one in oneIn of them, a different selection in each scenario.
func checkCrashPoints(oneIn int) {
	GinkgoHelper()
	var failed []string
	var mu sync.Mutex
	var group sync.WaitGroup
	free := make(chan string, 4*runtime.GOMAXPROCS(0))
	for range cap(free) {
		free <- newSimulationNamespace()
	}
	played, began := 0, time.Now()
	for number, sc := range scenarios() {
		namespace := <-free
		undisturbed, err := play(namespace, &sc, disturbance{call: -1})
		free <- namespace
		Expect(err).NotTo(HaveOccurred(), "%s, undisturbed:\n%s", sc.name, undisturbed.simulation.log)
		Expect(undisturbed.simulation.ends()).To(Equal(sc.ends), "%s, undisturbed:\n%s", sc.name, undisturbed.simulation.log)
		AddReportEntry(sc.name, fmt.Sprintf("%d calls", len(undisturbed.calls)))
		for i, d := range disturbances(undisturbed.calls) {
			if (i+number)%oneIn != 0 {
				continue
			}
			played++
			namespace := <-free
			group.Go(func() {
				defer func() { free <- namespace }()
				r, err := play(namespace, &sc, d)
				if err == nil {
					err = compare(undisturbed, r, d)
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, fmt.Sprintf("%s: %s (%s): %v\n%s", sc.name, d, r.disturbedCall(d), err, r.simulation.log))
				}
			})
		}
	}
	group.Wait()
	AddReportEntry("plays", fmt.Sprintf("%d in %s", played, time.Since(began).Round(time.Second)))
	slices.Sort(failed)
	if len(failed) > 0 {
		Fail(fmt.Sprintf("%d of %d plays failed; the first:\n%s", len(failed), played, strings.Join(failed[:min(3, len(failed))], "\n\n")))
	}
}

var _ = Describe("A controller that stops or receives an error at any call", func() {
	It("reaches the same end and repeats nothing, in a selection of the cases", func() {
		withNewLeader(func() { checkCrashPoints(29) })
	})

	It("reaches the same end and repeats nothing", Label("whole"), func() {
		withNewLeader(func() { checkCrashPoints(1) })
	})
})
