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

// history is a stage on which things happen at random: the controller looks without a reason, sees some objects as they
// are and others as they were, meets errors and dies; users and Argo come in between.
type history struct {
	*stage
	t *rapid.T
	// exact says that no answer got lost: then what is counted is what is recorded, no less.
	exact bool
	fault fault
	// creating are the executions whose Workflows are being created.
	creating map[string]bool
}

// newHistory puts executions of all kinds on a stage.
func newHistory(t *rapid.T, namespace string) *history {
	h := &history{stage: newStage(namespace, nil), t: t, exact: true, creating: map[string]bool{}}
	h.script = func(wf *wfv1.Workflow, task string) simulator.Outcome { return h.outcome(wf, task) }
	h.wire.breakAt(func(c call) bool { return c.live || !c.isRead() }, func(c call, through func() error) error {
		if c.String() == createWorkflow && !h.dead {
			h.lookMeanwhile(strings.TrimSuffix(c.key.Name, wfev1.RollbackSuffix))
		}
		if h.dead {
			return errDead
		}
		if f := h.fault; f != nil {
			h.fault = nil
			return f(c, through)
		}
		return through()
	})
	if h.maxLive = rapid.IntRange(0, 2).Draw(t, "most at once"); h.maxLive > 0 {
		h.lead()
	}
	must(h.look())
	for _, name := range []string{"x", "y"}[:rapid.IntRange(1, 2).Draw(t, "executions")] {
		h.applyAny(name)
	}
	return h
}

// applyAny creates an execution of any kind.
func (h *history) applyAny(name string) {
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

// applyAnother creates one that the controller sees only after it began to lead.
func (h *history) applyAnother() {
	const name = "z"
	if h.last[name] == nil {
		h.applyAny(name)
		must(h.look())
		h.cache.deliver(h.truth, name)
	}
}

// outcome draws how a step ends, once it has been looked at a few times.
func (h *history) outcome(*wfv1.Workflow, string) simulator.Outcome {
	return rapid.SampledFrom([]simulator.Outcome{
		{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}, {Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}, breaks, hangs,
		{Phase: wfv1.NodeError},
	}).Draw(h.t, "outcome")
}

// step lets one thing happen.
func (h *history) step() {
	must(h.look())
	acts := map[string]func(){
		"deliver":  func() { h.cache.deliver(h.truth, h.draw("object", names(h.truth, h.cache))) },
		"look":     func() { must(h.reconcile(h.execution())) },
		"argo":     func() { _, err := h.argoLooks(); must(err) },
		"time":     func() { _, err := h.timePasses(); must(err) },
		"fault":    h.prepareFault,
		"failover": h.lead,
		"apply":    h.applyAnother,
		"user":     h.userActs,
	}
	// What makes things go on is more frequent.
	order := []string{"deliver", "look", "deliver", "look", "argo", "argo", "deliver", "look", "fault", "time", "failover", "user", "apply"}
	acts[rapid.SampledFrom(order).Draw(h.t, "act")]()
	if h.dead {
		h.lead()
	}
	h.checkExclusion()
}

// lookMeanwhile lets the controller look at another execution while it creates the Workflow of one.
func (h *history) lookMeanwhile(creating string) {
	h.creating[creating] = true
	defer delete(h.creating, creating)
	others := keysOf(h.cache.executions)
	maps.DeleteFunc(others, func(name string, _ bool) bool { return h.creating[name] })
	if len(others) > 0 && rapid.Bool().Draw(h.t, "meanwhile") {
		must(h.reconcile(h.draw("another", others)))
	}
}

// checkExclusion makes sure that those who work have a target of their own, and are no more than may be.
func (h *history) checkExclusion() {
	must(h.look())
	var at work
	for _, name := range slices.Sorted(maps.Keys(h.truth.executions)) {
		wfe, wf := h.truth.executions[name], h.truth.workflows[name]
		started := wfe.Status.WorkflowRef != nil || wf != nil && metav1.IsControlledBy(wf, wfe)
		if started && !wfe.Status.Phase.IsTerminal() {
			at = append(at, wfe)
		}
	}
	if problem := at.problem(h.maxLive); problem != "" {
		h.fail(problem)
	}
}

// fail ends the test. What happened is told apart from the problem: two failures of one kind are the same to rapid, which
// looks for the shortest.
func (h *history) fail(problem string) {
	h.t.Log(h.log)
	h.t.Fatal(problem)
}

// work is the executions that have started and have not ended.
type work []*wfev1.WorkflowExecution

func (w work) problem(maxLive int) string {
	if maxLive > 0 && len(w) > maxLive {
		return fmt.Sprintf("%d executions work at once, where %d may", len(w), maxLive)
	}
	holders := map[string]string{}
	for _, wfe := range w {
		key := admission.TargetKey(&wfe.Spec.Target)
		other, held := holders[key]
		switch {
		case wfe.Spec.DryRun:
		case held:
			return fmt.Sprintf("%s and %s work on %s at once", other, wfe.Name, key)
		default:
			holders[key] = wfe.Name
		}
	}
	return ""
}

func (h *history) execution() string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(h.last))).Draw(h.t, "which")
}

func (h *history) draw(label string, from map[string]bool) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(from))).Draw(h.t, label)
}

// prepareFault lets the next call of the controller fail.
func (h *history) prepareFault() {
	kind := rapid.SampledFrom([]string{"conflict", "unavailable", "unanswered", "dies", "dies unanswered"}).Draw(h.t, "kind")
	h.fault = map[string]fault{
		"conflict": conflict, "unavailable": unavailable,
		"unanswered": func(c call, through func() error) error {
			h.exact = false
			return unanswered(c, through)
		},
		"dies": func(call, func() error) error {
			h.dead = true
			return errDead
		},
		"dies unanswered": func(_ call, through func() error) error {
			h.exact = false
			_ = through() // nobody hears the answer
			h.dead = true
			return errDead
		},
	}[kind]
}

// userActs lets a user do something to an execution or to a Workflow.
func (h *history) userActs() {
	name := h.execution()
	wfe, wf := h.truth.executions[name], h.truth.workflows[name]
	if wfe == nil {
		return
	}
	type spec = wfev1.WorkflowExecutionSpec
	acts := map[string]func(){
		"suspend":   func() { must(edit(name, func(s *spec) { s.Suspended = !s.Suspended })(h.stage)) },
		"terminate": func() { must(edit(name, func(s *spec) { s.Cancel = wfev1.CancelTerminate })(h.stage)) },
		"stop": func() {
			must(edit(name, func(s *spec) {
				if s.Cancel == wfev1.CancelNone {
					s.Cancel = wfev1.CancelStop
				}
			})(h.stage))
		},
		"approve": func() {
			must(edit(name, func(s *spec) {
				if len(s.Approvals) == 0 {
					s.Approvals = []wfev1.Approval{{Step: "ask", Approved: rapid.Bool().Draw(h.t, "approved")}}
				}
			})(h.stage))
		},
		"delete Workflow": func() {
			if wf != nil {
				must(client.IgnoreNotFound(h.world.Delete(ctx, wf)))
			}
		},
		"touch Workflow": func() {
			if wf != nil {
				touched := wf.DeepCopy()
				metav1.SetMetaDataAnnotation(&touched.ObjectMeta, "test/touched", fmt.Sprint(len(h.log.String())))
				must(h.world.Patch(ctx, touched, client.MergeFrom(wf)))
			}
		},
	}
	acts[h.draw("deed", keysOf(acts))]()
}

func keysOf[V any](m map[string]V) map[string]bool {
	keys := map[string]bool{}
	for key := range m {
		keys[key] = true
	}
	return keys
}

// settle lets everything come to its end undisturbed.
func (h *history) settle() {
	h.fault = nil
	h.script = simulator.AllSucceed
	must(h.look())
	for name, wfe := range h.truth.executions {
		if wfe.Spec.Suspended {
			must(edit(name, func(s *wfev1.WorkflowExecutionSpec) { s.Suspended = false })(h.stage))
		}
	}
	must(h.play())
}

// clear deletes every execution, and lets everything come to rest.
func (h *history) clear() {
	must(h.look())
	for _, wfe := range h.truth.executions {
		must(client.IgnoreNotFound(h.world.Delete(ctx, wfe)))
	}
	h.stale = true
	must(h.play())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// checkLaw plays random histories; how many is rapid's flag to say.
func checkLaw() {
	namespace := newStageNamespace()
	rapid.Check(GinkgoT(), func(t *rapid.T) {
		h := newHistory(t, namespace)
		defer func() { must(h.tidy()) }()
		for range rapid.IntRange(0, 60).Draw(t, "length") {
			h.step()
		}
		h.settle()
		if err := h.check(); err != nil {
			h.fail(err.Error())
		}
		recorded := tally{}
		for name, wfe := range h.last {
			recorded.with(recordedIn(wfe, h.truth.executions[name] == nil))
		}
		if diff := cmp.Diff(recorded, counters(h.stage)); h.exact && diff != "" {
			h.fail("counted otherwise than recorded (-recorded +counted):\n" + diff)
		}
		h.clear()
		if left := controllers.Remembered(h.reconciler); len(left) > 0 {
			h.fail(fmt.Sprintf("remembered of what is gone: %v", left))
		}
	})
}

var _ = Describe("What is counted is what is recorded, whatever happens", func() {
	It("in some histories", func() { succession(checkLaw) })
	It("in many histories", Label("whole"), func() { succession(checkLaw) })
})
