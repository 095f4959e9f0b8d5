package e2e

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// patience bounds the wait for many pods at once on a busy machine.
const patience = 5 * time.Minute

// actionCase verifies the catalog's description of one built-in action on objects of its own.
type actionCase struct {
	action     string
	parameters []string
	// prepare creates the objects.
	prepare func(ctx context.Context, namespace string)
	// state reads the state that the action changes; nil if it changes nothing.
	state func(ctx context.Context, g Gomega, namespace string) string
	// effect is the state after the action; empty for any state that differs from the previous one.
	effect string
	// again is the output changed of a second step with the same action.
	again string
	// undo restores the state from the outputs of step "do"; nil if the action cannot be undone.
	undo *wfev1.Rollback
	// wrong are parameters that fail permanently with reason.
	wrong  []string
	reason wfev1.FailureReason
	// once is true if the object is gone after the action, so that a second step has nothing to change.
	once bool
	// onNodes is true if the roles are needed cluster-wide.
	onNodes bool
	// also verifies more of the effect.
	also func(ctx context.Context, whole *wfev1.WorkflowExecution)
}

// undo builds a rollback with an action, with parameters of plain values before those from outputs of the step.
func undo(action string, values []string, outputs ...wfev1.Parameter) *wfev1.Rollback {
	return &wfev1.Rollback{Action: action, Parameters: append(step("", action, values...).Parameters, outputs...)}
}

// account is the service account of a case. It has only the permissions of the case's actions.
func (c actionCase) account() string { return "may-" + c.action }

func (c actionCase) actions() []string {
	if c.undo == nil || c.undo.Action == c.action {
		return []string{c.action}
	}
	return []string{c.action, c.undo.Action}
}

// dry builds a dry run.
func (c actionCase) dry(namespace string) *wfev1.WorkflowExecution {
	wfe := newExecution(namespace, c.action+"-dry", step("do", c.action, c.parameters...))
	wfe.Spec.ServiceAccountName, wfe.Spec.DryRun = c.account(), true
	return wfe
}

// whole builds an execution that runs the action twice and once with wrong parameters, and then waits for an approval.
func (c actionCase) whole(namespace string) *wfev1.WorkflowExecution {
	do, again := step("do", c.action, c.parameters...), after(step("again", c.action, c.parameters...), "do")
	do.Rollback = c.undo
	wrong := step("wrong", c.action, c.wrong...)
	wrong.Critical, wrong.Retry = ptr.To(false), &wfev1.Retry{Limit: 2, BackoffSeconds: ptr.To[int32](1)}
	wfe := newExecution(namespace, c.action, do, again, wrong, after(approval("inspect", 0), "again", "wrong"))
	if c.once {
		wfe = newExecution(namespace, c.action, do, wrong, after(approval("inspect", 0), "do", "wrong"))
	}
	wfe.Spec.ServiceAccountName = c.account()
	return wfe
}

// caseRun runs the executions of one case.
type caseRun struct {
	actionCase
	namespace  string
	before     string
	dry, whole *wfev1.WorkflowExecution
}

func (s *caseRun) readState(ctx context.Context, g Gomega) string {
	if s.state == nil {
		return ""
	}
	return s.state(ctx, g, s.namespace)
}

func (s *caseRun) begin(ctx context.Context) {
	GinkgoHelper()
	s.before = s.readState(ctx, NewWithT(GinkgoT()))
	s.dry = s.actionCase.dry(s.namespace)
	Expect(cluster.Create(ctx, s.dry)).To(Succeed())
}

func (s *caseRun) expectDryRun(ctx context.Context) {
	GinkgoHelper()
	ended := waitEndFor(ctx, s.dry, patience)
	Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
	s.expectChanged(stepOf(ended, "do"), "true")
	Expect(s.readState(ctx, NewWithT(GinkgoT()))).To(Equal(s.before))
}

func (s *caseRun) run(ctx context.Context) {
	GinkgoHelper()
	s.whole = s.actionCase.whole(s.namespace)
	Expect(cluster.Create(ctx, s.whole)).To(Succeed())
}

// expectEffect verifies the effect of the action, and then starts the rollback.
func (s *caseRun) expectEffect(ctx SpecContext) {
	GinkgoHelper()
	waitPhaseFor(ctx, s.whole, wfev1.PhaseAwaitingApproval, patience)
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(s.whole), s.whole)).To(Succeed())
	Expect(stepOf(s.whole, "do").Phase).To(Equal(wfev1.StepCompleted))
	s.expectChanged(stepOf(s.whole, "do"), "true")
	if !s.once {
		Expect(stepOf(s.whole, "again").Phase).To(Equal(wfev1.StepCompleted))
		s.expectChanged(stepOf(s.whole, "again"), s.again)
	}
	Expect(stepOf(s.whole, "wrong")).To(PointTo(MatchFields(IgnoreExtras, Fields{
		"Phase": Equal(wfev1.StepFailed), "Reason": Equal(s.reason), "Attempts": BeEquivalentTo(1), "Message": Not(BeEmpty()),
	})), "%+v", stepOf(s.whole, "wrong"))
	if s.state != nil {
		now := s.readState(ctx, NewWithT(GinkgoT()))
		Expect(now).NotTo(Equal(s.before))
		if s.effect != "" {
			Expect(now).To(Equal(s.effect))
		}
	}
	if s.also != nil {
		s.also(ctx, s.whole)
	}
	change(ctx, s.whole, func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = wfev1.CancelStop })
}

func (s *caseRun) expectUndone(ctx context.Context) {
	GinkgoHelper()
	ended := waitEndFor(ctx, s.whole, patience)
	Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCancelled), "%+v", ended.Status.Failure)
	if s.undo == nil {
		return
	}
	Expect(meta.IsStatusConditionTrue(ended.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue(), "%+v", ended.Status.RollbackSteps)
	Expect(ended.Status.RollbackSteps).To(HaveExactElements(MatchFields(IgnoreExtras, Fields{"Name": Equal("do"), "Phase": Equal(wfev1.StepCompleted)})))
	Expect(s.readState(ctx, NewWithT(GinkgoT()))).To(Equal(s.before))
}

// expectChanged verifies the output changed of an action that changes something.
func (s *caseRun) expectChanged(status *wfev1.StepStatus, value string) {
	GinkgoHelper()
	if s.state != nil {
		Expect(status.Outputs).To(ContainElement(wfev1.Output{Name: "changed", Value: value}), "step %s", status.Name)
	}
}

// describeCases declares the specs of independent cases: all cases run in parallel, and each has specs of its own. cases is
// called once for the names of the actions, before a cluster exists, and again after prepare.
func describeCases(cases func() []actionCase, prepare func(ctx context.Context, namespace string)) {
	runs := make([]*caseRun, len(cases()))
	for i, c := range cases() {
		runs[i] = &caseRun{actionCase: c}
	}
	var found map[string]string
	BeforeAll(func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		prepare(ctx, namespace)
		for i, c := range cases() {
			s := runs[i]
			s.actionCase, s.namespace = c, namespace
			grant(ctx, namespace, s.account(), s.onNodes, s.actions()...)
			if s.prepare != nil {
				s.prepare(ctx, namespace)
			}
		}
		waitSettled(ctx, namespace)
		found = versions(ctx, namespace)
		for _, s := range runs {
			s.begin(ctx)
		}
	})
	AfterEach(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() { // the namespace outlives the spec, and others may end well in it
			describe(ctx, runs[0].namespace)
		}
	})
	for _, s := range runs {
		It("changes nothing in a dry run: "+s.action, func(ctx SpecContext) { s.expectDryRun(ctx) })
	}
	It("writes no object in any dry run", func(ctx SpecContext) {
		Expect(versions(ctx, runs[0].namespace)).To(Equal(found))
		for _, s := range runs {
			s.run(ctx)
		}
	})
	for _, s := range runs {
		It("reaches its effect, is idempotent, and reports permanent errors: "+s.action, func(ctx SpecContext) { s.expectEffect(ctx) })
	}
	for _, s := range runs {
		It("is undone from its outputs: "+s.action, func(ctx SpecContext) { s.expectUndone(ctx) })
	}
}

// whole labels specs that are too slow to run for every change; make test-e2e-whole runs them.
const whole = "whole"

// smoke labels the few specs that verify whether a cluster of another kind works.
const smoke = "smoke"

var _ = Describe("The built-in actions", Ordered, ContinueOnFailure, Label(whole), func() {
	describeCases(func() []actionCase { return slices.Concat(workloadCases, podCases, dataCases, objectCases) }, func(context.Context, string) {})
})

var _ = Describe("A built-in action without its role", func() {
	It("names the role, and is not retried", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		makeDeployment("scaled")(ctx, namespace)
		grant(ctx, namespace, "may-restart", false, "restart-deployment")
		wfe := newExecution(namespace, "forbidden", step("do", "scale-deployment", "deployment", "scaled", "replicas", "2"))
		wfe.Spec.ServiceAccountName, wfe.Spec.Steps[0].Retry = "may-restart", &wfev1.Retry{Limit: 2, BackoffSeconds: ptr.To[int32](1)}

		ended := run(ctx, wfe)

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonForbidden), "Message": ContainSubstring("bind ClusterRole workflowexecution-action-scale-deployment"),
		})))
		Expect(stepOf(ended, "do").Attempts).To(BeEquivalentTo(1))
		Expect(*get(ctx, Default, namespace, "scaled", &appsv1.Deployment{}).Spec.Replicas).To(BeEquivalentTo(1))
	})
})

// TestEveryActionHasACase needs no cluster.
func TestEveryActionHasACase(t *testing.T) {
	shown := map[string]bool{}
	for _, c := range slices.Concat(workloadCases, podCases, dataCases, objectCases, monitoringCases(), nodeCases(), drainCases()) {
		if shown[c.action] {
			t.Errorf("action %s has more than one case", c.action)
		}
		shown[c.action] = true
	}
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "actions", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		objects, err := testutil.ReadManifests(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			name := object.GetLabels()[wfev1.LabelAction]
			if name != "" && !shown[name] {
				t.Errorf("action %s of the catalog has no case", name)
			}
			delete(shown, name)
		}
	}
	for name := range shown {
		t.Errorf("the catalog has no action %s", name)
	}
}
