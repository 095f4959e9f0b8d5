package controllers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
)

// database stands in for the Argo server and its database. It is a simulation of two of the server's calls: GET of a
// Workflow with its nodes, and PUT …/set of a node that is suspended.
type database struct {
	nodes atomic.Pointer[wfv1.Nodes]
	down  atomic.Bool
	token atomic.Value
}

// serve starts the server and lets a controller lead that knows it.
func (d *database) serve() {
	GinkgoHelper()
	server := httptest.NewServer(d)
	DeferCleanup(server.Close)
	client, err := controllers.NewArgoServer(server.URL+"/", &rest.Config{BearerToken: "secret"})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { succession(func() { argoServer = nil }) })
	succession(func() { argoServer = client })
}

func (d *database) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	d.token.Store(request.Header.Get("Authorization"))
	key, isSet := strings.CutSuffix(strings.TrimPrefix(request.URL.Path, "/api/v1/workflows/"), "/set")
	namespace, name, _ := strings.Cut(key, "/")
	wf := &wfv1.Workflow{}
	err := admin.Get(request.Context(), types.NamespacedName{Namespace: namespace, Name: name}, wf)
	if d.down.Load() || err != nil {
		http.Error(w, `{"message":"the database is down"}`, http.StatusInternalServerError)
		return
	}
	nodes := d.nodes.Load().DeepCopy()
	if isSet {
		asked := struct{ NodeFieldSelector, Phase, Message string }{}
		err = json.NewDecoder(request.Body).Decode(&asked)
		node, found := nodes[strings.TrimPrefix(asked.NodeFieldSelector, "id=")]
		if err != nil || !found || node.Phase != wfv1.NodeRunning || request.Method != http.MethodPut {
			http.Error(w, "no suspend nodes matching nodeFieldSelector", http.StatusInternalServerError)
			return
		}
		node.Phase, node.Message = wfv1.NodePhase(asked.Phase), asked.Message
		nodes[node.ID] = node
		d.nodes.Store(&nodes)
	}
	wf.Status.Nodes = nodes
	_ = json.NewEncoder(w).Encode(wf) // a client that is gone shows in the spec
}

// offload moves the nodes to the database after some events, as Argo does with what is too large.
func (d *database) offload(wfe *wfev1.WorkflowExecution, version string, events ...event) {
	GinkgoHelper()
	wf := workflowOf(wfe)
	was := wf.DeepCopy()
	if wf.Status.Phase == "" {
		pickUp(wf)
	}
	if stored := d.nodes.Load(); stored != nil {
		wf.Status.Nodes = stored.DeepCopy()
	}
	for _, happen := range events {
		happen(wf)
	}
	nodes := wf.Status.Nodes
	d.nodes.Store(&nodes)
	wf.Status.Nodes, wf.Status.OffloadNodeStatusVersion = nil, version
	Expect(admin.Patch(ctx, wf, client.MergeFrom(was))).To(Succeed())
}

var _ = Describe("A Workflow whose nodes are in a database", func() {
	It("is followed through the Argo server, approvals and rollback included", func() {
		db := &database{}
		db.serve()
		wfe := start(execution("large", approval("ask", 0), undone(step("first", "ask")), step("second", "first")))
		db.offload(wfe, "1", ask("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		Expect(db.token.Load()).To(Equal("Bearer secret"))

		decide(wfe, true)
		Eventually(func() wfv1.NodePhase { return (*db.nodes.Load())["large-"+hashOf(wfe, "ask")].Phase }).Should(Equal(wfv1.NodeSucceeded))
		db.offload(wfe, "2", run("first"))
		Eventually(stepsOf(wfe)).Should(Equal("ask=Completed first=Running second=Pending"))
		Expect(stepOf(wfe, "ask").Message).To(Equal("approved by carol"))
		moment.pass(time.Second)
		db.offload(wfe, "3", succeed("first", "previous=3"), run("second"))
		moment.pass(time.Second)
		db.offload(wfe, "4", fail("second", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Expect(conditionsOf(wfe)).NotTo(HaveKey(wfev1.ConditionNodeStatusUnavailable))
		undoing := rollbackOf(wfe)
		undoing.write(run("first"))
		undoing.write(succeed("first"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("RolledBack", "True RolledBack"))
	})

	It("ends as the Workflow does when the Argo server stays away, and not before it had time to come back", func() {
		db := &database{}
		db.serve()
		db.down.Store(true)
		wfe := start(execution("away", step("only")))
		db.offload(wfe, "1", run("only"))
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True ArgoServer"))
		db.offload(wfe, "2", succeed("only"), finish(wfv1.WorkflowSucceeded))
		Consistently(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))

		moment.pass(6 * time.Minute)
		poke(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(stepsOf(wfe)()).To(Equal("only=Pending"), "as it was last seen")
	})

	It("is seen again when the Argo server is back", func() {
		db := &database{}
		db.serve()
		db.down.Store(true)
		wfe := start(execution("back", step("only")))
		db.offload(wfe, "1", run("only"))
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True ArgoServer"))

		db.down.Store(false)
		db.offload(wfe, "2", succeed("only"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(stepsOf(wfe)()).To(Equal("only=Completed"))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "False Available"))
	})

	It("lets go on what ran when it was last seen, until the deadline", func() {
		db := &database{}
		wfe := start(within(execution("blinded", step("bad"), step("slow")), 600))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("slow"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		db.offload(wfe, "1")
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True Offloaded"))
		poke(wfe)
		Expect(isShutDown(wfe)()).To(BeFalse())
		moment.pass(601 * time.Second)
		poke(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
	})

	It("is told of, without an Argo server, and nothing is rolled back", func() {
		db := &database{}
		wfe := start(execution("blind", undone(step("first")), step("second", "first")))
		db.offload(wfe, "1", run("first"))
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True Offloaded"))
		db.offload(wfe, "2", succeed("first"), run("second"), fail("second", "no"), finish(wfv1.WorkflowFailed))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonNodeStatusUnavailable))
		Expect(statusOf(wfe).RollbackRef).To(BeNil())
	})
})

// hashOf is the part of a task's node ID after the Workflow's name.
func hashOf(wfe *wfev1.WorkflowExecution, task string) string {
	wf := workflowOf(wfe)
	return strings.TrimPrefix(wf.NodeID(wf.Name+"."+task), wf.Name+"-")
}
