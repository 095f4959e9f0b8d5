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

// injectRandomFaults makes one in twenty calls fail, in all ways in which the API server can fail. It returns the names of the executions with a
// record whose response was lost: it is not counted. The names are complete after the last call.
func injectRandomFaults(seed uint64) sets.Set[string] {
	unsure := sets.New[string]()
	var mu sync.Mutex
	ways := []fault{
		conflict, unavailable,
		func(c call, proceed func() error) error {
			if c.String() == updateStatus {
				mu.Lock()
				unsure.Insert(c.key.Name)
				mu.Unlock()
			}
			return unanswered(c, proceed)
		},
		func(call, func() error) error { return apierrors.NewTooManyRequests("slow down", 1) },
		func(call, func() error) error { return errors.New("connection reset by peer") },
	}
	dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the faults are reproducible
	draw := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(len(ways)), dice.IntN(20) == 0
	}
	calls.inject(func(c call) bool { return c.live || !c.isRead() }, func(c call, proceed func() error) error {
		if way, now := draw(); now {
			return ways[way](c, proceed)
		}
		return proceed()
	})
	return unsure
}

// wide is an execution of ten steps in four levels. Some of them are non-critical, and all have rollbacks.
func wide(name string) *wfev1.WorkflowExecution {
	wfe := execution(name, undone(step("a")))
	for i := range 4 {
		wfe.Spec.Steps = append(wfe.Spec.Steps, undone(step(fmt.Sprintf("b%d", i), "a")), uncritical(step(fmt.Sprintf("c%d", i), fmt.Sprintf("b%d", i))))
	}
	wfe.Spec.Steps = append(wfe.Spec.Steps, step("d", "c0", "c1", "c2", "c3"))
	return wfe
}

// unlucky fails the last step of every seventh execution, and non-critical steps of every fifth one.
func unlucky(wf *wfv1.Workflow, task string) simulator.Outcome {
	var number int
	_, err := fmt.Sscanf(wf.Name, "v%d", &number)
	Expect(err).NotTo(HaveOccurred())
	if wf.Labels[wfev1.LabelRole] == wfev1.RoleMain && (task == "d" && number%7 == 0 || task[0] == 'c' && number%5 == 0) {
		return breaks
	}
	return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
}

// runSimulatedArgo runs a simulated Argo for all Workflows until the spec ends.
func runSimulatedArgo(script simulator.Script) *simulator.Controller {
	GinkgoHelper()
	simulated := &simulator.Controller{Argo: simulatedArgo, Script: script}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- simulated.Run(running, adminConfig, ctrl.Options{Scheme: scheme}) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).Should(Receive(BeNil()))
	})
	return simulated
}

// countUnfinished counts the executions of the spec that have not ended. It is -1 if the API server does not respond.
func countUnfinished() int {
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

// versions are the resource versions of all objects in the spec's namespace.
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

// expectAllCounted checks that the counters equal the sum over the statuses. Executions in unsure may be missing.
func expectAllCounted(executions int, unsure sets.Set[string]) {
	GinkgoHelper()
	list := &wfev1.WorkflowExecutionList{}
	Expect(admin.List(ctx, list, client.InNamespace(ns))).To(Succeed())
	Expect(list.Items).To(HaveLen(executions))
	recorded, sure := seriesValues{}, seriesValues{}
	for i := range list.Items {
		wfe := &list.Items[i]
		ended := recordedIn(wfe, false)
		recorded.add(ended)
		if !unsure.Has(wfe.Name) {
			sure.add(ended)
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

// runMany runs executions of ten steps under faults, and checks that they cost nothing after their end.
func runMany(executions int, rest time.Duration) {
	DeferCleanup(func() {
		Eventually(func() error { // deleting thousands of objects can exceed the timeout of a request
			return admin.DeleteAllOf(ctx, &wfev1.WorkflowExecution{}, client.InNamespace(ns))
		}).WithTimeout(rest).WithPolling(time.Second).Should(Succeed())
		Eventually(collectGarbage).WithTimeout(rest).WithPolling(time.Second).Should(BeEmpty())
	})
	simulated := runSimulatedArgo(unlucky)
	unsure := injectRandomFaults(uint64(GinkgoRandomSeed())) //nolint:gosec // any number will do
	for i := range executions {
		create(wide(fmt.Sprintf("v%d", i)))
	}
	Eventually(countUnfinished).WithTimeout(20 * time.Minute).WithPolling(time.Second).Should(BeZero())
	calls.removeFaults()
	Eventually(busy).WithTimeout(time.Minute).Should(BeFalse()) // an end is counted after the response to its record
	expectAllCounted(executions, unsure)
	Expect(simulated.Duplicates()).To(BeEmpty())

	// The next leaders must do nothing.
	before := versions()
	calls.reset()
	counts := moved()
	for leaders := range 3 {
		withNewLeader(func() {})
		Eventually(func() int { return calls.count(func(c call) bool { return c.String() == "get "+wfev1.Kind }) }).
			WithTimeout(rest).Should(BeNumerically(">=", (leaders+1)*executions), "each leader reconciles all executions")
	}
	Eventually(busy).WithTimeout(time.Minute).Should(BeFalse())
	Expect(calls.count(func(c call) bool { return c.live || !c.isRead() })).To(BeZero(), "calls to the API server")
	Expect(versions()).To(Equal(before))
	Expect(moved()).To(Equal(counts))
}

var _ = Describe("Many executions with an API server that fails one in twenty calls", func() {
	It("end, are counted, and then cost nothing: 30 executions", func() { runMany(30, 2*time.Minute) })
	It("end, are counted, and then cost nothing: 1,000 executions", Label("whole"), func() { runMany(1000, 20*time.Minute) })
})
