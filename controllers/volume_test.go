package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// faulty lets one call in twenty fail, in all the ways in which the API server can fail. It returns the names of the executions
// of which a record got no answer: what it told is not counted. They are complete when all calls are over.
func faulty(seed uint64) sets.Set[string] {
	unsure := sets.New[string]()
	var mu sync.Mutex
	ways := []fault{
		conflict, unavailable,
		func(c call, through func() error) error {
			if c.String() == updateStatus {
				mu.Lock()
				unsure.Insert(c.key.Name)
				mu.Unlock()
			}
			return unanswered(c, through)
		},
		func(call, func() error) error { return apierrors.NewTooManyRequests("slow down", 1) },
		func(call, func() error) error { return errors.New("connection reset by peer") },
	}
	dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a history that can be had again
	draw := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(len(ways)), dice.IntN(20) == 0
	}
	calls.breakAt(func(c call) bool { return c.live || !c.isRead() }, func(c call, through func() error) error {
		if way, now := draw(); now {
			return ways[way](c, through)
		}
		return through()
	})
	return unsure
}

// wide has ten steps in four levels, some of which cannot fail the execution, and all of which can be undone.
func wide(name string) *wfev1.WorkflowExecution {
	wfe := execution(name, undone(step("a")))
	for i := range 4 {
		wfe.Spec.Steps = append(wfe.Spec.Steps, undone(step(fmt.Sprintf("b%d", i), "a")), uncritical(step(fmt.Sprintf("c%d", i), fmt.Sprintf("b%d", i))))
	}
	wfe.Spec.Steps = append(wfe.Spec.Steps, step("d", "c0", "c1", "c2", "c3"))
	return wfe
}

// unlucky lets every seventh execution fail at its last step, and steps of every fifth that are not critical.
func unlucky(wf *wfv1.Workflow, task string) simulator.Outcome {
	var number int
	_, err := fmt.Sscanf(wf.Name, "v%d", &number)
	Expect(err).NotTo(HaveOccurred())
	if wf.Labels[wfev1.LabelRole] == wfev1.RoleMain && (task == "d" && number%7 == 0 || task[0] == 'c' && number%5 == 0) {
		return breaks
	}
	return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
}

// fly lets the simulated Argo take all Workflows to their end by a script, until the spec is over.
func fly(script simulator.Script) *simulator.Controller {
	GinkgoHelper()
	pilot := &simulator.Controller{Argo: double, Script: script}
	flying, land := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- pilot.Run(flying, adminConfig, ctrl.Options{Scheme: scheme}) }()
	DeferCleanup(func() {
		land()
		Eventually(ended).Should(Receive(BeNil()))
	})
	return pilot
}

// unended counts the executions of the spec that have not ended; -1 when the API server has too much to do to say.
func unended() int {
	list := &wfev1.WorkflowExecutionList{}
	if err := admin.List(ctx, list, client.InNamespace(ns)); err != nil {
		return -1
	}
	left := 0
	for i := range list.Items {
		if !list.Items[i].Status.Phase.IsTerminal() {
			left++
		}
	}
	return left
}

// versions are the resource versions of all that is in the spec's namespace.
func versions() map[string]string {
	all := map[string]string{}
	executions, workflows := &wfev1.WorkflowExecutionList{}, &wfv1.WorkflowList{}
	Expect(admin.List(ctx, executions, client.InNamespace(ns))).To(Succeed())
	Expect(admin.List(ctx, workflows, client.InNamespace(ns))).To(Succeed())
	for i := range executions.Items {
		all["execution "+executions.Items[i].Name] = executions.Items[i].ResourceVersion
	}
	for i := range workflows.Items {
		all["workflow "+workflows.Items[i].Name] = workflows.Items[i].ResourceVersion
	}
	return all
}

// expectAllCounted checks that the sum over the statuses is what was counted; of those that are unsure it may be less.
func expectAllCounted(executions int, unsure sets.Set[string]) {
	GinkgoHelper()
	list := &wfev1.WorkflowExecutionList{}
	Expect(admin.List(ctx, list, client.InNamespace(ns))).To(Succeed())
	Expect(list.Items).To(HaveLen(executions))
	recorded, sure := tally{}, tally{}
	for i := range list.Items {
		wfe := &list.Items[i]
		ended := recordedIn(wfe, false)
		recorded.with(ended)
		if !unsure.Has(wfe.Name) {
			sure.with(ended)
		}
		var number int
		_, err := fmt.Sscanf(wfe.Name, "v%d", &number)
		Expect(err).NotTo(HaveOccurred())
		want := "Completed"
		if number%7 == 0 {
			want = "Failed ActionFailed RolledBack=True"
		}
		Expect(endOf(wfe, false)).To(Equal(want), wfe.Name)
	}
	counted := moved()
	for series, value := range recorded {
		Expect(counted[series]).To(And(BeNumerically("<=", value), BeNumerically(">=", sure[series])), series)
	}
}

// manyAtOnce applies executions, each of ten steps, under faults, and then, when all have ended, nothing.
func manyAtOnce(executions int, rest time.Duration) {
	DeferCleanup(func() {
		Eventually(func() error { // a busy API server does not delete thousands in the time of one request
			return admin.DeleteAllOf(ctx, &wfev1.WorkflowExecution{}, client.InNamespace(ns))
		}).WithTimeout(rest).WithPolling(time.Second).Should(Succeed())
		Eventually(collectGarbage).WithTimeout(rest).WithPolling(time.Second).Should(BeEmpty())
	})
	pilot := fly(unlucky)
	unsure := faulty(uint64(GinkgoRandomSeed())) //nolint:gosec // any number will do
	for i := range executions {
		create(wide(fmt.Sprintf("v%d", i)))
	}
	Eventually(unended).WithTimeout(20 * time.Minute).WithPolling(time.Second).Should(BeZero())
	calls.heal()
	Eventually(busy).WithTimeout(time.Minute).Should(BeFalse()) // an end is counted when its record is answered
	expectAllCounted(executions, unsure)
	Expect(pilot.Duplicates()).To(BeEmpty())

	// The next leaders have nothing to do.
	before := versions()
	calls.forget()
	counts := moved()
	for leaders := range 3 {
		succession(func() {})
		Eventually(func() int { return calls.count(func(c call) bool { return c.String() == "get "+wfev1.Kind }) }).
			WithTimeout(rest).Should(BeNumerically(">=", (leaders+1)*executions), "each looks at all")
	}
	Eventually(busy).WithTimeout(time.Minute).Should(BeFalse())
	Expect(calls.count(func(c call) bool { return c.live || !c.isRead() })).To(BeZero(), "calls to the API server")
	Expect(versions()).To(Equal(before))
	Expect(moved()).To(Equal(counts))
}

var _ = Describe("Many executions at once, and an API server that fails at one call in twenty", func() {
	It("all end, are counted, and then cost nothing; a few", func() { manyAtOnce(30, 2*time.Minute) })
	It("all end, are counted, and then cost nothing; 1,000", Label("whole"), func() { manyAtOnce(1000, 20*time.Minute) })
})
