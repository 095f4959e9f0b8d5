package controllers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
)

// database simulates two calls of the Argo server (v3.7.18) and its database: GET of some fields of a Workflow with its nodes, and
// PUT …/set of a suspended node. test/e2e runs a real server.
type database struct {
	nodes atomic.Pointer[wfv1.Nodes]
	down  atomic.Bool
	// refuses refuses updates and allows reads.
	refuses atomic.Bool
	// returns writes changed nodes back into the Workflow, as a server without ALWAYS_OFFLOAD_NODE_STATUS does.
	returns atomic.Bool
	token   atomic.Value
}

// serve starts the server and a leader that uses it.
func (d *database) serve() {
	GinkgoHelper()
	server := httptest.NewServer(d)
	DeferCleanup(server.Close)
	client, err := controllers.NewArgoServer(server.URL+"/", &rest.Config{BearerToken: "secret"})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { withNewLeader(func() { argoServer = nil }) })
	withNewLeader(func() { argoServer = client })
}

func (d *database) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	refuse := func(status, code int, message string) { // code is a gRPC code
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message})
	}
	token := request.Header.Get("Authorization")
	d.token.Store(token)
	key, isSet := strings.CutSuffix(strings.TrimPrefix(request.URL.Path, "/api/v1/workflows/"), "/set")
	namespace, name, _ := strings.Cut(key, "/")
	wf := &wfv1.Workflow{}
	err := admin.Get(request.Context(), types.NamespacedName{Namespace: namespace, Name: name}, wf)
	switch {
	case d.down.Load():
		refuse(http.StatusInternalServerError, 13, "dial tcp: connect: connection refused")
	case !strings.HasPrefix(token, "Bearer "):
		refuse(http.StatusUnauthorized, 16, "token not valid")
	case err != nil:
		refuse(http.StatusNotFound, 5, err.Error())
	case isSet && request.Method == http.MethodPut && d.refuses.Load():
		refuse(http.StatusForbidden, 7, fmt.Sprintf("workflows.argoproj.io %q is forbidden", name))
	case isSet && request.Method == http.MethodPut:
		if err := d.set(request, wf); err != nil {
			refuse(http.StatusInternalServerError, 13, err.Error())
			return
		}
		_ = json.NewEncoder(w).Encode(wf) // a closed connection shows in the spec
	case request.Method == http.MethodGet && request.URL.Query().Get("fields") == "metadata.uid,status.nodes":
		answer := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{UID: wf.UID}, Status: wfv1.WorkflowStatus{Nodes: *d.nodes.Load()}}
		_ = json.NewEncoder(w).Encode(answer)
	default:
		refuse(http.StatusNotImplemented, 12, "not simulated")
	}
}

// set changes the selected suspended node in the database, and the Workflow in the API server.
func (d *database) set(request *http.Request, wf *wfv1.Workflow) error {
	asked := struct{ NodeFieldSelector, Phase, Message string }{}
	if err := json.NewDecoder(request.Body).Decode(&asked); err != nil {
		return err
	}
	nodes := d.nodes.Load().DeepCopy()
	node, found := nodes[strings.TrimPrefix(asked.NodeFieldSelector, "id=")]
	if !found || !node.IsActiveSuspendNode() {
		return errors.New("currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector: " + asked.NodeFieldSelector)
	}
	node.Phase, node.Message, node.FinishedAt = wfv1.NodePhase(asked.Phase), asked.Message, timestamp()
	nodes[node.ID] = node
	d.nodes.Store(&nodes)
	wf.Labels["workflows.argoproj.io/action"] = "Set"
	wf.Status.OffloadNodeStatusVersion += "-set"
	if d.returns.Load() {
		wf.Status.Nodes, wf.Status.OffloadNodeStatusVersion = nodes, ""
	}
	return admin.Update(request.Context(), wf)
}

// offload applies events and moves the nodes to the database, as Argo does with large Workflows.
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
	It("is read through the Argo server, including approvals and rollback", func() {
		db := &database{}
		db.serve()
		wfe := start(execution("large", approval("ask", 0), undone(step("first", "ask")), step("second", "first")))
		db.offload(wfe, "1", awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		Expect(db.token.Load()).To(Equal("Bearer secret"))

		decide(wfe, true)
		Eventually(func() wfv1.NodePhase { return (*db.nodes.Load())["large-"+hashOf(wfe, "ask")].Phase }).Should(Equal(wfv1.NodeSucceeded))
		db.offload(wfe, "2", run("first"))
		Eventually(stepsOf(wfe)).Should(Equal("ask=Completed first=Running second=Pending"))
		Expect(stepOf(wfe, "ask").Message).To(Equal("approved by carol"))
		testClock.advance(time.Second)
		db.offload(wfe, "3", succeed("first", "previous=3"), run("second"))
		testClock.advance(time.Second)
		db.offload(wfe, "4", fail("second", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Expect(conditionsOf(wfe)).NotTo(HaveKey(wfev1.ConditionNodeStatusUnavailable))
		undoing := rollbackOf(wfe)
		undoing.write(run("first"))
		undoing.write(succeed("first"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("RolledBack", "True RolledBack"))
	})

	It("can return from the database with a decision", func() {
		db := &database{}
		db.returns.Store(true)
		db.serve()
		wfe := start(execution("returned", approval("ask", 0), step("next", "ask")))
		db.offload(wfe, "1", awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		decide(wfe, true)
		Eventually(stepsOf(wfe)).Should(Equal("ask=Completed next=Pending"))
		Expect(workflowOf(wfe).Status.OffloadNodeStatusVersion).To(BeEmpty())
		db.offload(wfe, "2", run("next"))
		testClock.advance(time.Second)
		db.offload(wfe, "3", succeed("next"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
	})

	It("has its approval decided once the controller has the right, and an event before", func() {
		db := &database{}
		db.refuses.Store(true)
		db.serve()
		wfe := start(execution("refused", approval("ask", 0)))
		db.offload(wfe, "1", awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		decide(wfe, false)
		Eventually(eventsOf(wfe)).Should(ContainElement(And(HavePrefix("Warning DecisionRefused: "), ContainSubstring("config/components/argo-server"))))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseAwaitingApproval))

		db.refuses.Store(false)
		Eventually(stepsOf(wfe)).Should(Equal("ask=Failed"))
	})

	It("ends with the phase of the Workflow if the Argo server stays unavailable, after a grace period", func() {
		db := &database{}
		db.serve()
		db.down.Store(true)
		wfe := start(execution("away", step("only")))
		db.offload(wfe, "1", run("only"))
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True ArgoServer"))
		db.offload(wfe, "2", succeed("only"), finish(wfv1.WorkflowSucceeded))
		Consistently(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))

		testClock.advance(6 * time.Minute)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(stepsOf(wfe)()).To(Equal("only=Pending"), "the last known phase")
	})

	It("is read again when the Argo server is available again", func() {
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

	It("lets the last known running steps continue until the deadline", func() {
		db := &database{}
		wfe := start(within(execution("blinded", step("bad"), step("slow")), 600))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("slow"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		db.offload(wfe, "1")
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue(wfev1.ConditionNodeStatusUnavailable, "True Offloaded"))
		triggerReconcile(wfe)
		Expect(isShutDown(wfe)()).To(BeFalse())
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
	})

	It("has a condition and no rollback without an Argo server", func() {
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
