package controllers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// randomSimulation is a simulation with random turns: reconciles without a cause, stale caches, errors, crashes, and actions of
// users and Argo in between.
type randomSimulation struct {
	*simulation
	t *rapid.T
	// exact is true while no response was lost. Then the counters equal the recorded ends.
	exact bool
	fault fault
	// creating are the executions whose Workflows are being created.
	creating map[string]bool
}

// newRandomSimulation makes a simulation with one or two executions.
func newRandomSimulation(t *rapid.T, namespace string) *randomSimulation {
	h := &randomSimulation{simulation: newSimulation(namespace, nil), t: t, exact: true, creating: map[string]bool{}}
	h.script = func(wf *wfv1.Workflow, task string) simulator.Outcome { return h.outcome(wf, task) }
	h.calls.inject(func(c call) bool { return c.live || !c.isRead() }, func(c call, proceed func() error) error {
		if c.String() == createWorkflow && !h.stopped {
			h.reconcileMeanwhile(strings.TrimSuffix(c.key.Name, wfev1.RollbackSuffix))
		}
		if h.stopped {
			return errStopped
		}
		if f := h.fault; f != nil {
			h.fault = nil
			return f(c, proceed)
		}
		return proceed()
	})
	if h.maxLive = rapid.IntRange(0, 2).Draw(t, "limit"); h.maxLive > 0 {
		h.startController()
	}
	must(h.refresh())
	for _, name := range []string{"x", "y"}[:rapid.IntRange(1, 2).Draw(t, "executions")] {
		h.applyAny(name)
	}
	return h
}

// applyAny creates a random execution.
func (h *randomSimulation) applyAny(name string) {
	wfe := rapid.SampledFrom([]*wfev1.WorkflowExecution{
		chain(name), execution(name, uncritical(retried(step("a"), 1)), step("b", "a"), undone(step("c", "a"))),
		execution(name, undone(step("a")), approval("ask", 60, "a"), step("b", "ask")),
	}).Draw(h.t, "execution").DeepCopy()
	wfe.Spec.DryRun = rapid.IntRange(0, 5).Draw(h.t, "dry") == 0
	if rapid.Bool().Draw(h.t, "shared") {
		wfe.Spec.Target = wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
	}
	must(h.apply(within(wfe, 300)))
}

// applyAnother creates an execution after the controller has started.
func (h *randomSimulation) applyAnother() {
	const name = "z"
	if h.last[name] == nil {
		h.applyAny(name)
		must(h.refresh())
		h.cache.Deliver(ctx, h.stored, name)
	}
}

// outcome draws how a step ends.
func (h *randomSimulation) outcome(*wfv1.Workflow, string) simulator.Outcome {
	return rapid.SampledFrom([]simulator.Outcome{
		{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}, {Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}, breaks, hangs,
		{Phase: wfv1.NodeError},
	}).Draw(h.t, "outcome")
}

// step performs one random turn.
func (h *randomSimulation) step() {
	must(h.refresh())
	acts := map[string]func(){
		"deliver":   func() { h.cache.Deliver(ctx, h.stored, h.draw("object", h.names())) },
		"reconcile": func() { must(h.reconcile(h.execution())) },
		"argo":      func() { _, err := h.runArgo(); must(err) },
		"time":      func() { _, err := h.advanceClock(); must(err) },
		"fault":     h.prepareFault,
		"failover":  h.startController,
		"apply":     h.applyAnother,
		"user":      h.doUserAction,
	}
	// Turns that make progress are more frequent.
	order := []string{"deliver", "reconcile", "deliver", "reconcile", "argo", "argo", "deliver", "reconcile", "fault", "time", "failover", "user", "apply"}
	acts[rapid.SampledFrom(order).Draw(h.t, "act")]()
	if h.stopped {
		h.startController()
	}
	h.checkExclusion()
}

// reconcileMeanwhile reconciles another execution while the controller creates a Workflow.
func (h *randomSimulation) reconcileMeanwhile(creating string) {
	h.creating[creating] = true
	defer delete(h.creating, creating)
	others := keysOf(h.cache.Executions)
	maps.DeleteFunc(others, func(name string, _ bool) bool { return h.creating[name] })
	if len(others) > 0 && rapid.Bool().Draw(h.t, "meanwhile") {
		must(h.reconcile(h.draw("another", others)))
	}
}

// checkExclusion checks that no two running executions have the same target, and that they do not exceed the limit.
func (h *randomSimulation) checkExclusion() {
	must(h.refresh())
	var at work
	for _, name := range slices.Sorted(maps.Keys(h.stored.Executions)) {
		wfe, wf := h.stored.Executions[name], h.stored.Workflows[name]
		started := wfe.Status.WorkflowRef != nil || wf != nil && metav1.IsControlledBy(wf, wfe)
		if started && !wfe.Status.Phase.IsTerminal() {
			at = append(at, wfe)
		}
	}
	if problem := at.problem(h.maxLive); problem != "" {
		h.fail(problem)
	}
}

// fail fails the test. The log is not part of the problem, since rapid searches for the shortest history with the same
// problem.
func (h *randomSimulation) fail(problem string) {
	h.t.Log(h.log)
	h.t.Fatal(problem)
}

// work are the executions that have started and have not ended.
type work []*wfev1.WorkflowExecution

func (w work) problem(maxLive int) string {
	if maxLive > 0 && len(w) > maxLive {
		return fmt.Sprintf("%d executions run at the same time, and the limit is %d", len(w), maxLive)
	}
	holders := map[string]string{}
	for _, wfe := range w {
		key := admission.TargetKey(&wfe.Spec.Target)
		other, held := holders[key]
		switch {
		case wfe.Spec.DryRun:
		case held:
			return fmt.Sprintf("%s and %s run at the same time on %s", other, wfe.Name, key)
		default:
			holders[key] = wfe.Name
		}
	}
	return ""
}

func (h *randomSimulation) execution() string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(h.last))).Draw(h.t, "execution name")
}

func (h *randomSimulation) draw(label string, from map[string]bool) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(from))).Draw(h.t, label)
}

// prepareFault injects a fault into the next call of the controller.
func (h *randomSimulation) prepareFault() {
	kind := rapid.SampledFrom([]string{"conflict", "unavailable", "no response", "crash", "crash without a response"}).Draw(h.t, "kind")
	h.fault = map[string]fault{
		"conflict": conflict, "unavailable": unavailable,
		"no response": func(c call, proceed func() error) error {
			h.exact = false
			return unanswered(c, proceed)
		},
		"crash": func(call, func() error) error {
			h.stopped = true
			return errStopped
		},
		"crash without a response": func(_ call, proceed func() error) error {
			h.exact = false
			_ = proceed() // the response is lost
			h.stopped = true
			return errStopped
		},
	}[kind]
}

// doUserAction performs a random action of a user on an execution or a Workflow.
func (h *randomSimulation) doUserAction() {
	name := h.execution()
	wfe, wf := h.stored.Executions[name], h.stored.Workflows[name]
	if wfe == nil {
		return
	}
	type spec = wfev1.WorkflowExecutionSpec
	acts := map[string]func(){
		"suspend":   func() { must(edit(name, func(s *spec) { s.Suspended = !s.Suspended })(h.simulation)) },
		"terminate": func() { must(edit(name, func(s *spec) { s.Cancel = wfev1.CancelTerminate })(h.simulation)) },
		"stop": func() {
			must(edit(name, func(s *spec) {
				if s.Cancel == wfev1.CancelNone {
					s.Cancel = wfev1.CancelStop
				}
			})(h.simulation))
		},
		"approve": func() {
			must(edit(name, func(s *spec) {
				if len(s.Approvals) == 0 {
					s.Approvals = []wfev1.Approval{{Step: "ask", Approved: rapid.Bool().Draw(h.t, "approved")}}
				}
			})(h.simulation))
		},
		"delete Workflow": func() {
			if wf != nil {
				must(client.IgnoreNotFound(h.api.Delete(ctx, wf)))
			}
		},
		"touch Workflow": func() {
			if wf != nil {
				touched := wf.DeepCopy()
				metav1.SetMetaDataAnnotation(&touched.ObjectMeta, "test/touched", fmt.Sprint(len(h.log.String())))
				must(h.api.Patch(ctx, touched, client.MergeFrom(wf)))
			}
		},
	}
	acts[h.draw("user action", keysOf(acts))]()
}

func keysOf[V any](m map[string]V) map[string]bool {
	keys := map[string]bool{}
	for key := range m {
		keys[key] = true
	}
	return keys
}

// settle plays to the end without faults.
func (h *randomSimulation) settle() {
	h.fault = nil
	h.script = simulator.AllSucceed
	must(h.refresh())
	for name, wfe := range h.stored.Executions {
		if wfe.Spec.Suspended {
			must(edit(name, func(s *wfev1.WorkflowExecutionSpec) { s.Suspended = false })(h.simulation))
		}
	}
	must(h.play())
}

// clear deletes all executions and plays to the end.
func (h *randomSimulation) clear() {
	must(h.refresh())
	for _, wfe := range h.stored.Executions {
		must(client.IgnoreNotFound(h.api.Delete(ctx, wfe)))
	}
	h.outdated = true
	must(h.play())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// checkInvariants plays random histories. The flag -rapid.checks sets their number.
func checkInvariants() {
	namespace := newSimulationNamespace()
	rapid.Check(GinkgoT(), func(t *rapid.T) {
		h := newRandomSimulation(t, namespace)
		defer func() { must(h.cleanUp()) }()
		for range rapid.IntRange(0, 60).Draw(t, "length") {
			h.step()
		}
		h.settle()
		if err := h.check(); err != nil {
			h.fail(err.Error())
		}
		recorded := seriesValues{}
		for name, wfe := range h.last {
			recorded.add(recordedIn(wfe, h.stored.Executions[name] == nil))
		}
		if diff := cmp.Diff(recorded, counters(h.simulation)); h.exact && diff != "" {
			h.fail("the counters differ from the statuses (-recorded +counted):\n" + diff)
		}
		h.clear()
		if left := controllers.Remembered(h.reconciler); len(left) > 0 {
			h.fail(fmt.Sprintf("the controller remembers deleted objects: %v", left))
		}
	})
}

var _ = Describe("The invariants hold", func() {
	It("in some random histories", func() { withNewLeader(checkInvariants) })
	It("in many random histories", Label("whole"), func() { withNewLeader(checkInvariants) })
})
