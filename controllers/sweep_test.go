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

// disturbance is what happens at one call of the controller to the API server.
type disturbance struct {
	// call is the call's index among those to the API server; none below 0.
	call int
	// done lets the call take effect before.
	done bool
	// dies stops the controller; otherwise it is told of an error and lives on.
	dies bool
	// meanwhile happens while no controller is there.
	meanwhile string
}

func (d disturbance) String() string {
	text := fmt.Sprintf("call %d", d.call)
	if d.done {
		text += ", which takes effect"
	}
	if d.dies {
		return text + ", stops the controller; meanwhile " + d.meanwhile
	}
	return text + ", is answered by an error"
}

// What happens while no controller is there.
const (
	nothing     = "nothing"
	argoGoesOn  = "Argo goes on"
	itIsDeleted = "the Workflows are deleted"
)

// result is what is left of a play.
type result struct {
	stage *stage
	// calls are those that reached the API server, or were to.
	calls []call
	// state is the end of everything, without times and identities.
	state string
	// counted is what all controllers counted together.
	counted tally
}

// hit is the call that was disturbed.
func (r *result) hit(d disturbance) call {
	if d.call < len(r.calls) {
		return r.calls[d.call]
	}
	return call{}
}

// perform plays a scenario with a disturbance.
func perform(namespace string, sc *scenario, d disturbance) (r *result, err error) {
	r = &result{}
	defer func() {
		if recovered := recover(); recovered != nil {
			err = fmt.Errorf("panic: %v", recovered)
		}
	}()
	s := newStage(namespace, sc.deeds)
	r.stage = s
	if err := s.look(); err != nil {
		return r, err
	}
	s.script = sc.script(s)
	if sc.atOnce {
		s.wire.breakAt(isCreationOf("x"), justOnce(func(_ call, through func() error) error {
			return errors.Join(s.reconcile("y"), through())
		}))
	}
	s.wire.breakAt(func(c call) bool { return c.live || !c.isRead() }, func(c call, through func() error) error {
		if s.dead {
			return errDead
		}
		r.calls = append(r.calls, c)
		if len(r.calls)-1 != d.call {
			return through()
		}
		if d.done {
			_ = through() // the answer is lost
		}
		fmt.Fprintf(s.log, "-- %s %s: %s\n", c, c.key, d)
		s.dead = d.dies
		if d.dies {
			return errDead
		}
		return apierrors.NewTimeoutError("no answer", 1)
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
		if !s.dead {
			break
		}
		if err := s.interregnum(d.meanwhile); err != nil {
			return r, err
		}
		s.lead()
	}
	r.counted = counters(s)
	r.state, err = describe(s)
	return r, errors.Join(err, s.check(), s.tidy())
}

// interregnum is the time between two controllers.
func (s *stage) interregnum(meanwhile string) error {
	switch meanwhile {
	case argoGoesOn:
		for acted := true; acted; {
			if err := s.look(); err != nil {
				return err
			}
			var err error
			if acted, err = s.argoLooks(); err != nil {
				return err
			}
		}
	case itIsDeleted:
		if err := s.look(); err != nil {
			return err
		}
		for _, wf := range s.truth.workflows {
			if err := client.IgnoreNotFound(s.world.Delete(ctx, wf)); err != nil {
				return err
			}
		}
	}
	return nil
}

// check is what must be true of every play, whatever happened in it.
func (s *stage) check() error {
	var errs []error
	for workflow, created := range s.wire.creations() {
		if created != 1 {
			errs = append(errs, fmt.Errorf("%d Workflows were created: %s", created, workflow))
		}
	}
	for node, started := range s.starts {
		if started != 1 {
			errs = append(errs, fmt.Errorf("step %s was executed %d times", node, started))
		}
	}
	for name, wfe := range s.truth.executions {
		if !wfe.Status.Phase.IsTerminal() {
			errs = append(errs, fmt.Errorf("execution %s never ends: it is %s", name, wfe.Status.Phase))
		}
	}
	for name, wf := range s.truth.workflows {
		if slices.Contains(wf.Finalizers, wfev1.FinalizerObserved) {
			errs = append(errs, fmt.Errorf("workflow %s is held back although all is over", name))
		}
	}
	recorded := tally{}
	for name, wfe := range s.last {
		recorded.with(recordedIn(wfe, s.truth.executions[name] == nil))
	}
	for series, value := range counters(s) {
		if value > recorded[series] {
			errs = append(errs, fmt.Errorf("%s counts %v, and %v are recorded", series, value, recorded[series]))
		}
	}
	return errors.Join(errs...)
}

// counters is what the controllers of a stage counted together of what had ended.
func counters(s *stage) tally {
	sum := tally{}
	for _, registry := range s.registries {
		for series, value := range countersOf(registry) {
			if value != 0 && isLaw(series) {
				sum[series] += value
			}
		}
	}
	return sum
}

// isLaw reports whether a series counts ends.
func isLaw(series string) bool {
	name, _, _ := strings.Cut(series, "{")
	return strings.HasSuffix(name, "_total") || name == "total"
}

// recordedIn is what ought to have been counted for an execution, as its last status says.
func recordedIn(wfe *wfev1.WorkflowExecution, gone bool) tally {
	t, status := tally{}, &wfe.Status
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
	if status.RollbackRef != nil {
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

func (t tally) withoutZeros() tally {
	maps.DeleteFunc(t, func(_ string, value float64) bool { return value == 0 })
	return t
}

// endOf is the end of an execution in short.
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

func (s *stage) ends() []string {
	var ends []string
	for _, name := range slices.Sorted(maps.Keys(s.last)) {
		ends = append(ends, endOf(s.last[name], s.truth.executions[name] == nil))
	}
	return ends
}

// volatile is what differs between two plays of the same scenario: times, versions, identities and what follows from
// whole seconds.
var volatile = regexp.MustCompile(`"(uid|[a-zA-Z]*[tT]ime|[a-z]+edAt|resourceVersion|podName|duration|generation|observedGeneration)":("[^"]*"|[0-9]+|null)`)

// counting is lines that are there or not, depending on whole seconds.
var counting = regexp.MustCompile(`(?m)^ *"(approvalWaitSeconds|suspendedSeconds|parallelSteps)":.*\n`)

// describe writes down what is left on a stage.
func describe(s *stage) (string, error) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.last)) {
		encoded, err := json.MarshalIndent(s.last[name].Status, "", " ")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "execution %s, gone %t: %s\n", name, s.truth.executions[name] == nil, encoded)
	}
	for _, name := range slices.Sorted(maps.Keys(s.truth.workflows)) {
		wf := s.truth.workflows[name]
		fmt.Fprintf(&text, "workflow %s: %s, shutdown %q, suspended %t, finalizers %v\n", name, wf.Status.Phase, wf.Spec.Shutdown, isSuspended(wf), wf.Finalizers)
		for _, node := range slices.SortedFunc(maps.Values(wf.Status.Nodes), func(a, b wfv1.NodeStatus) int { return strings.Compare(a.Name, b.Name) }) {
			fmt.Fprintf(&text, " %s: %s %s\n", node.Name, node.Phase, node.Message)
		}
	}
	return volatile.ReplaceAllString(counting.ReplaceAllString(strings.ReplaceAll(text.String(), `": `, `":`), ""), `"$1":…`), nil
}

// compare checks a disturbed play against the undisturbed one.
func compare(want, got *result, d disturbance) error {
	if d.dies && d.meanwhile != nothing {
		return nil // another world: Argo did what it would not have done, or a user did
	}
	var errs []error
	if diff := cmp.Diff(want.state, got.state); diff != "" {
		errs = append(errs, fmt.Errorf("ends otherwise than undisturbed (-undisturbed +disturbed):\n%s", diff))
	}
	lost := d.done // what was in flight may be lost
	for series, value := range want.counted {
		if more := got.counted[series] - value; more > 0 || more < 0 && !lost && series != "parallel_steps_total" {
			errs = append(errs, fmt.Errorf("%s counts %v, and undisturbed %v", series, got.counted[series], value))
		}
	}
	return errors.Join(errs...)
}

// disturbances are those of every call of a scenario. A read takes no effect, and whoever is stopped at one leaves what
// is left after the write before it.
func disturbances(calls []call) []disturbance {
	var all []disturbance
	for i, c := range calls {
		for _, done := range []bool{false, true} {
			if done && c.isRead() {
				continue
			}
			all = append(all, disturbance{call: i, done: done}, disturbance{call: i, done: done, dies: true, meanwhile: nothing})
			if !c.isRead() {
				all = append(all, disturbance{call: i, done: done, dies: true, meanwhile: argoGoesOn}, disturbance{call: i, done: done, dies: true, meanwhile: itIsDeleted})
			}
		}
	}
	return all
}

// sweep plays every scenario undisturbed, and then, for each call of the controller to the API server, with every
// disturbance of it; or with each one in so many of them, which differ from scenario to scenario.
func sweep(oneIn int) {
	GinkgoHelper()
	var failed []string
	var mu sync.Mutex
	var group sync.WaitGroup
	free := make(chan string, 4*runtime.GOMAXPROCS(0))
	for range cap(free) {
		free <- newStageNamespace()
	}
	played, began := 0, time.Now()
	for number, sc := range scenarios() {
		namespace := <-free
		undisturbed, err := perform(namespace, &sc, disturbance{call: -1})
		free <- namespace
		Expect(err).NotTo(HaveOccurred(), "%s, undisturbed:\n%s", sc.name, undisturbed.stage.log)
		Expect(undisturbed.stage.ends()).To(Equal(sc.ends), "%s, undisturbed:\n%s", sc.name, undisturbed.stage.log)
		AddReportEntry(sc.name, fmt.Sprintf("%d calls", len(undisturbed.calls)))
		for i, d := range disturbances(undisturbed.calls) {
			if (i+number)%oneIn != 0 {
				continue
			}
			played++
			namespace := <-free
			group.Go(func() {
				defer func() { free <- namespace }()
				r, err := perform(namespace, &sc, d)
				if err == nil {
					err = compare(undisturbed, r, d)
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, fmt.Sprintf("%s: %s (%s): %v\n%s", sc.name, d, r.hit(d), err, r.stage.log))
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

var _ = Describe("A controller that is stopped or refused at any call", func() {
	It("does everything once, and all the same, in a selection of the cases", func() {
		succession(func() { sweep(29) })
	})

	It("does everything once, and all the same", Label("whole"), func() {
		succession(func() { sweep(1) })
	})
})
