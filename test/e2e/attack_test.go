package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// The attackers have the rights of an editor, or those of Argo's own editor role.
var _ = Describe("An attacker", Ordered, ContinueOnFailure, func() {
	var (
		namespace                    string
		alice, mallory, carol, argos *user
		asks                         *wfev1.WorkflowExecution // waits for an approval
	)

	BeforeAll(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		Expect(cluster.Clientset.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"`+guarded+`":"yes"}}}`), metav1.PatchOptions{})).Error().NotTo(HaveOccurred())
		alice = newUser(ctx, namespace, "alice", "workflowexecution-editor")
		bind(ctx, namespace, "alice", "Role", "remediation-user")
		mallory = newUser(ctx, namespace, "mallory", "workflowexecution-editor")
		carol = newUser(ctx, namespace, "carol", "workflowexecution-approver")
		argos = newUser(ctx, namespace, "argos", "workflowexecution-viewer")
		grantRules(ctx, namespace, "argos", argoEditor, writeStatus)
		installPolicies(ctx)
		asks = newExecution(namespace, "asks", step("one", "test-ok"), after(approval("ask", 0), "one"), after(step("two", "test-ok"), "ask"))
		Expect(alice.Create(ctx, asks)).To(Succeed(), "alice may use the service account")
		waitPhase(ctx, asks, wfev1.PhaseAwaitingApproval)
	})

	It("cannot run pods under a service account without the verb use", func(ctx SpecContext) {
		expectRefused(ctx, mallory, creating(newExecution(namespace, "borrowed", step("one", "test-ok"))),
			mallory.name+" may not let steps run under service account remediation of namespace "+namespace+": that takes the verb use on it")
	})

	It("cannot change what an execution does after its creation", func(ctx SpecContext) {
		for patch, why := range map[string]string{
			`{"spec":{"steps":[{"name":"one","action":"test-fail"}]}}`: "steps are immutable; create a new WorkflowExecution",
			`{"spec":{"serviceAccountName":"default"}}`:                "serviceAccountName is immutable",
			`{"spec":{"target":{"name":"other"}}}`:                     "target is immutable",
			`{"spec":{"timeoutSeconds":604800}}`:                       "timeoutSeconds is immutable",
			`{"spec":{"dryRun":true}}`:                                 "dryRun is immutable",
		} {
			Expect(merge(asks, patch)(mallory)).To(MatchError(ContainSubstring(why)))
		}
	})

	It("cannot approve his own execution, or in the name of another user", func(ctx SpecContext) {
		decide := func(by string) func(client.Client) error {
			return merge(asks, fmt.Sprintf(`{"spec":{"approvals":[{"step":"ask","approved":true,"by":%q}]}}`, by))
		}
		expectRefused(ctx, alice, decide(alice.name), alice.name+" may not decide on step ask of asks: that takes the verb approve on workflowexecutions")
		expectRefused(ctx, alice, decide(carol.name), "may not decide on step ask")
		expectRefused(ctx, carol, decide(alice.name), "a decision is made in one's own name: by must be "+carol.name)
		early := newExecution(namespace, "early", approval("ask", 0))
		early.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: alice.name}}
		expectRefused(ctx, alice, creating(early), "may not decide on step ask of early")
		output, err := alice.wfe(ctx, "approve", "asks")
		Expect(err).To(HaveOccurred())
		Expect(output).To(ContainSubstring("that takes the verb approve on workflowexecutions"))
	})

	It("cannot approve, repeat, replace or remove steps in Argo", func(ctx SpecContext) {
		const why = " may not write a Workflow of a WorkflowExecution; steer the WorkflowExecution instead"
		wf := &wfv1.Workflow{}
		Expect(argos.Get(ctx, client.ObjectKeyFromObject(asks), wf)).To(Succeed(), "Argo's role allows reading")
		for id, node := range wf.Status.Nodes {
			if node.DisplayName == "ask" { // what Resume does in the Argo UI
				expectRefused(ctx, argos, merge(wf, `{"status":{"nodes":{"`+id+`":{"phase":"Succeeded"}}}}`), argos.name+why)
			}
		}
		expectRefused(ctx, argos, merge(wf, `{"spec":{"serviceAccountName":"default"}}`), why)
		expectRefused(ctx, argos, merge(wf, `{"metadata":{"labels":null}}`), why)
		expectRefused(ctx, argos, merge(wf, `{"metadata":{"finalizers":null}}`), why)
		expectRefused(ctx, argos, func(c client.Client) error { return c.Delete(context.Background(), wf) }, why)
		expectRefused(ctx, argos, func(c client.Client) error {
			return c.DeleteAllOf(context.Background(), &wfv1.Workflow{}, client.InNamespace(namespace))
		}, why)
		forged := plainWorkflow(namespace, "forged")
		forged.Labels = map[string]string{wfev1.LabelRole: wfev1.RoleMain, wfev1.LabelName: "asks"}
		expectRefused(ctx, argos, creating(forged), why)
		adopted := plainWorkflow(namespace, "adopted")
		adopted.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(asks, wfev1.GroupVersion.WithKind(wfev1.Kind))}
		adopted.OwnerReferences[0].BlockOwnerDeletion = nil
		expectRefused(ctx, argos, creating(adopted), why)
		Expect(argos.Create(ctx, plainWorkflow(namespace, "own"))).To(Succeed(), "the policies do not apply to Workflows without an execution")
	})

	It("cannot write a status", func(ctx SpecContext) {
		report := func(c client.Client) error {
			return c.Status().Patch(context.Background(), asks.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Completed"}}`)))
		}
		expectRefused(ctx, argos, report, argos.name+" may not write the status of a WorkflowExecution; only its controller does")
		Expect(report(mallory)).To(MatchError(apierrors.IsForbidden, "IsForbidden"), "no user role allows it")
	})

	It("cannot add an action, image, command or pod", func(ctx SpecContext) {
		template := &wfv1.WorkflowTemplate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine", Labels: map[string]string{wfev1.LabelAction: "mine"}},
			Spec:       plainWorkflow(namespace, "mine").Spec,
		}
		Expect(argos.Create(ctx, template)).To(Succeed())
		ended := runAs(ctx, alice, newExecution(namespace, "own-action", step("one", "mine")))
		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonUnknownAction), "Message": ContainSubstring(`action "mine" is not in the catalog`),
		})))
		catalog := &wfv1.ClusterWorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: template.Labels}, Spec: template.Spec}
		Expect(argos.Create(ctx, catalog)).To(MatchError(ContainSubstring("cannot create resource \"clusterworkflowtemplates\"")))
		for _, field := range []string{"image", "command", "podSpecPatch", "container", "serviceAccountName"} {
			object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(newExecution(namespace, "own-"+strings.ToLower(field), step("one", "test-ok")))
			Expect(err).NotTo(HaveOccurred())
			smuggled := &unstructured.Unstructured{Object: object}
			smuggled.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
			steps, _, err := unstructured.NestedSlice(object, "spec", "steps")
			Expect(err).NotTo(HaveOccurred())
			steps[0].(map[string]any)[field] = "evil"
			Expect(unstructured.SetNestedSlice(object, steps, "spec", "steps")).To(Succeed())
			Expect(client.WithFieldValidation(alice.Client, metav1.FieldValidationStrict).Create(ctx, smuggled)).To(
				MatchError(ContainSubstring(`unknown field "spec.steps[0].` + field + `"`)))
		}
	})

	It("cannot inject templates or expansions through a value", func(ctx SpecContext) {
		for name, value := range map[string]string{
			"tag": "{{workflow.uid}}", "expression": "{{=1+1}}", "expansion": "$(KUBERNETES_SERVICE_HOST)", "escape": "$$(HOME)",
		} {
			ended := runAs(ctx, alice, newExecution(namespace, name, step("one", "test-ok", "say", value)))
			Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
				"Reason": Equal(wfev1.ReasonInvalidSpec), "Message": ContainSubstring("is not allowed in a value"),
			})), name)
			Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(ended), &wfv1.Workflow{}))).To(BeTrue(), "no Workflow may exist")
		}
		hostile := newExecution(namespace, "hostile", step("one{{x}}", "test-ok"))
		Expect(alice.Create(ctx, hostile)).To(MatchError(ContainSubstring("spec.steps[0].name")))
	})

	It("cannot fill etcd or block the controller with one object", func(ctx SpecContext) {
		many := newExecution(namespace, "many")
		for i := range 501 {
			many.Spec.Steps = append(many.Spec.Steps, step(fmt.Sprintf("s%d", i), "test-ok"))
		}
		Expect(alice.Create(ctx, many)).To(MatchError(ContainSubstring("must have at most 500 items")))
		Expect(alice.Create(ctx, newExecution(namespace, "long", step("one", "test-ok", "say", strings.Repeat("x", 64<<10+1))))).To(
			MatchError(ContainSubstring("may not be more than 65536")))
		var steps []wfev1.Step
		for i := range 20 { // each is allowed, but not all together
			steps = append(steps, step(fmt.Sprintf("s%d", i), "test-ok", "say", strings.Repeat("x", 60<<10)))
		}
		ended := runAs(ctx, alice, newExecution(namespace, "heavy", steps...))
		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Reason": Equal(wfev1.ReasonWorkflowTooLarge)})))
	})

	It("cannot read metrics or profiles", func(ctx SpecContext) {
		Expect(cluster.WithMetrics(ctx, func(address string) error {
			for path, want := range map[string]map[string]int{
				"/metrics":     {"": http.StatusUnauthorized, mallory.config.BearerToken: http.StatusForbidden},
				"/debug/pprof": {"": http.StatusNotFound, mallory.config.BearerToken: http.StatusNotFound},
			} {
				for token, code := range want {
					Expect(statusOf(ctx, "https://"+address+path, token)).To(Equal(code), path)
				}
			}
			Expect(statusOf(ctx, "http://"+address+"/metrics", "")).To(Equal(http.StatusBadRequest), "plain HTTP")
			return nil
		})).To(Succeed())
	})

	It("cannot escalate privileges with the token of the controller or of a step", func(ctx SpecContext) {
		may := func(user string, attributes authorizationv1.ResourceAttributes) bool {
			GinkgoHelper()
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: []string{"system:serviceaccounts", "system:authenticated"}, ResourceAttributes: &attributes,
			}}
			Expect(cluster.Create(ctx, review)).To(Succeed())
			return review.Status.Allowed
		}
		controller := "system:serviceaccount:" + testutil.SystemNamespace + ":controller"
		Expect(may(controller, authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "delete", Resource: "pods"})).To(BeTrue(), "the review must find a right that the controller has")
		for _, of := range []authorizationv1.ResourceAttributes{
			{Verb: "get", Resource: "secrets"}, {Verb: "list", Resource: "secrets"}, {Verb: "create", Resource: "pods"}, {Verb: "get", Resource: "pods"},
			{Verb: "create", Resource: "pods", Subresource: "exec"}, {Verb: "create", Resource: "serviceaccounts", Subresource: "token"},
			{Verb: "impersonate", Resource: "users"}, {Verb: "bind", Group: rbacv1.GroupName, Resource: "clusterroles"},
			{Verb: "escalate", Group: rbacv1.GroupName, Resource: "clusterroles"}, {Verb: "create", Group: wfev1.GroupVersion.Group, Resource: "workflowexecutions"},
			{Verb: "patch", Group: wfev1.GroupVersion.Group, Resource: "workflowexecutions"}, {Verb: "delete", Group: "argoproj.io", Resource: "workflows"},
		} {
			of.Namespace = namespace
			Expect(may(controller, of)).To(BeFalse(), "the controller: %+v", of)
			Expect(may("system:serviceaccount:"+namespace+":remediation", of)).To(BeFalse(), "a step: %+v", of)
		}
		Expect(may("system:serviceaccount:"+namespace+":remediation",
			authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "patch", Group: "argoproj.io", Resource: "workflows"})).To(BeFalse())
	})

	It("is stopped without hindering users with rights: executions are approved, rolled back, cancelled and deleted", func(ctx SpecContext) {
		output, err := carol.wfe(ctx, "approve", "asks", "--reason", "looks right")
		Expect(err).NotTo(HaveOccurred(), output)
		ended := waitEnd(ctx, asks)
		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
		Expect(stepOf(ended, "ask").Message).To(Equal("approved by " + carol.name + ": looks right"))

		undone := runAs(ctx, alice, newExecution(namespace, "undone", undoneBy(step("one", "test-ok"), "test-ok"), after(step("breaks", "test-fail"), "one")))
		Expect(undone.Status.RollbackSteps).To(HaveExactElements(MatchFields(IgnoreExtras, Fields{"Phase": Equal(wfev1.StepCompleted)})))

		sleeps := newExecution(namespace, "sleeps", step("one", "test-sleep", "seconds", "120"))
		Expect(alice.Create(ctx, sleeps)).To(Succeed())
		waitStep(ctx, sleeps, "one", wfev1.StepRunning)
		Expect(merge(sleeps, `{"spec":{"cancel":"Terminate"}}`)(alice)).To(Succeed())
		Expect(waitEnd(ctx, sleeps).Status.Phase).To(Equal(wfev1.PhaseCancelled))

		Expect(alice.Delete(ctx, undone)).To(Succeed())
		Eventually(func(g Gomega) { // by the garbage collector
			for _, name := range []string{"undone", "undone-rollback"} {
				err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &wfv1.Workflow{})
				g.Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
			}
		}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
	})
})

// runAs creates an execution as a user and waits until it has ended.
func runAs(ctx context.Context, u *user, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	GinkgoHelper()
	Expect(u.Create(ctx, wfe)).To(Succeed())
	return waitEnd(ctx, wfe)
}

// statusOf is the HTTP status of a request with a token, or without one if it is empty.
func statusOf(ctx context.Context, url, token string) int {
	GinkgoHelper()
	status, _, err := testutil.Get(ctx, url, token)
	Expect(err).NotTo(HaveOccurred())
	return status
}
