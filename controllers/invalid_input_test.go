package controllers_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// with sets the parameters of a step.
func with(s wfev1.Step, parameters ...wfev1.Parameter) wfev1.Step {
	s.Parameters = parameters
	return s
}

// calling sets the action of a step.
func calling(s wfev1.Step, action string) wfev1.Step {
	s.Action = action
	return s
}

// expectRefused checks that an invalid execution ended without a Workflow.
func expectRefused(wfe *wfev1.WorkflowExecution, reason wfev1.FailureReason, step string, message ...string) {
	GinkgoHelper()
	Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
	Expect(conditionsOf(wfe)).To(SatisfyAll(
		HaveKeyWithValue("Valid", "False "+string(reason)), HaveKeyWithValue("Failed", "True "+string(reason)),
		HaveKeyWithValue("Stalled", "True "+string(reason)), HaveKeyWithValue("Reconciling", "False "+string(reason)),
	))
	Expect(kstatus(wfe)).To(Equal("Failed"))
	status := statusOf(wfe)
	Expect(status.Failure.Reason).To(Equal(reason))
	Expect(status.Failure.Step).To(Equal(step))
	for _, part := range message {
		Expect(status.Failure.Message).To(ContainSubstring(part))
		Expect(conditionMessage(wfe, wfev1.ConditionValid)).To(ContainSubstring(part))
	}
	Expect(status.StartTime).To(BeNil())
	Expect(status.CompletionTime).NotTo(BeNil())
	Expect(status.ParallelSteps).To(BeNil())
	Expect(status.WorkflowRef).To(BeNil())
	Eventually(moved).Should(Equal(seriesValues{"total{status=failed}": 1, "failures_total{reason=" + string(reason) + "}": 1}))
	Eventually(eventsOf(wfe)).Should(ConsistOf(SatisfyAll(HavePrefix("Warning "+string(reason)), ContainSubstring(message[0]))))

	Eventually(busy).Should(BeFalse())
	// One for its creation, one when it leaves the cache, and one when it enters the cache of ended executions, from two watches each.
	Consistently(func() int { return calls.reconciles(wfe) }).Should(BeNumerically("<=", 6), "reconciled repeatedly")
	Expect(calls.writeNames(wfe.Name)).To(HaveExactElements(updateStatus))
	Expect(calls.creations()).To(BeEmpty())
}

var _ = Describe("Invalid input", func() {
	DescribeTable("fails the execution with a reason and a message that names step and field",
		func(reason wfev1.FailureReason, blamed string, message []string, steps ...wfev1.Step) {
			wfe := create(execution("bad", steps...))
			expectRefused(wfe, reason, blamed, message...)
		},
		Entry("unknown action", wfev1.ReasonUnknownAction, "b", []string{`step "b": action`, `"dance"`},
			step("a"), calling(step("b", "a"), "dance")),
		Entry("an action whose template is broken", wfev1.ReasonUnknownAction, "a", []string{`step "a": action`, `"broken"`},
			calling(with(step("a")), broken)),
		Entry("missing parameter", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters`, `requires parameter "object"`},
			with(step("a"))),
		Entry("unknown parameter", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters[objekt]`, "no such parameter; it has object, mode, note, content"},
			with(step("a"), value("object", "x"), value("objekt", "x"))),
		Entry("reserved parameter", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters[dry-run]`},
			with(step("a"), value("object", "x"), value("dry-run", "false"))),
		Entry("value outside of the enumeration", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters[mode]`, `"Fast" is not one of fast, slow`},
			with(step("a"), value("object", "x"), value("mode", "Fast"))),
		Entry("unknown dependency", wfev1.ReasonInvalidSpec, "a", []string{`step "a": dependsOn: there is no step "b"`},
			step("a", "b")),
		Entry("cycle", wfev1.ReasonInvalidSpec, "a", []string{`step "a": dependsOn`, "cycle: a → c → b → a"},
			step("a", "c"), step("b", "a"), step("c", "b")),
		Entry("step that depends on itself", wfev1.ReasonInvalidSpec, "a", []string{`step "a": dependsOn`, "cycle: a → a"},
			step("a", "a")),
		Entry("reserved name", wfev1.ReasonInvalidSpec, "not", []string{`step "not": name`, "reserved word"},
			step("not")),
		Entry("{{ in a value", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters[note]`, `"{{"`},
			with(step("a"), value("object", "x"), value("note", "{{workflow.name}}"))),
		Entry("$( in a value", wfev1.ReasonInvalidSpec, "a", []string{`step "a": parameters[object]`, `"$("`},
			with(step("a"), value("object", "$(HOSTNAME)"))),
		Entry("unknown output", wfev1.ReasonInvalidSpec, "b", []string{`step "b": parameters[object].valueFrom`, `"colour"`},
			step("a"), with(step("b", "a"), wfev1.Parameter{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "a", Output: "colour"}})),
		Entry("output of a step that is no ancestor", wfev1.ReasonInvalidSpec, "b", []string{`step "b": parameters[object].valueFrom`, "dependsOn"},
			step("a"), with(step("b"), wfev1.Parameter{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "a", Output: "changed"}})),
		Entry("rollback by an unknown action", wfev1.ReasonUnknownAction, "a", []string{`step "a": rollback.action`},
			func() wfev1.Step { s := step("a"); s.Rollback = &wfev1.Rollback{Action: "dance"}; return s }()),
	)

	It("fails a dry run of an action without support for it", func() {
		wfe := execution("bad", calling(with(step("a")), bold))
		wfe.Spec.DryRun = true
		create(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(conditionMessage(wfe, wfev1.ConditionValid)).To(ContainSubstring("dry"))
		Eventually(moved).Should(Equal(seriesValues{"dry_runs_total{status=failed}": 1}))
	})

	It("fails an execution whose Workflow is too large", func() {
		var steps []wfev1.Step
		for i := range 20 {
			steps = append(steps, with(step("s"+strings.Repeat("x", i+1)), value("object", "x"), value("note", strings.Repeat("y", 60<<10))))
		}
		wfe := create(execution("large", steps...))
		expectRefused(wfe, wfev1.ReasonWorkflowTooLarge, "", "the Workflow would have")
	})

	It("does not change the Workflow of another owner", func() {
		foreign := &wfv1.Workflow{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "taken"},
			Spec:       wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: "other"}},
		}
		Expect(admin.Create(ctx, foreign)).To(Succeed())
		version := foreign.ResourceVersion
		wfe := create(execution("taken", step("a")))
		expectRefused(wfe, wfev1.ReasonInvalidSpec, "", "metadata.name", `"taken"`)
		refresh(foreign)
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	It("does not block the next execution", func() {
		bad := create(execution("bad", calling(step("a"), "dance")))
		good := start(execution("good", step("a")))
		argoOf(good).write(run("a"), succeed("a"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(bad)).Should(Equal(wfev1.PhaseFailed))
		Eventually(phaseOf(good)).Should(Equal(wfev1.PhaseCompleted))
	})

	It("frees the target for the next execution", func() {
		bad := execution("bad", calling(step("a"), "dance"))
		good := execution("good", step("a"))
		good.Spec.Target = bad.Spec.Target
		create(bad)
		start(good)
	})
})

var _ = Describe("The schema", func() {
	refuse := func(wfe *wfev1.WorkflowExecution, message string) {
		GinkgoHelper()
		wfe.Namespace = ns
		Expect(admin.Create(ctx, wfe)).To(MatchError(ContainSubstring(message)))
	}

	DescribeTable("refuses names that Argo or the rollback cannot have",
		func(name, message string) { refuse(execution(name, step("a")), message) },
		Entry("too long", strings.Repeat("x", 55), "at most 54 characters"),
		Entry("the rollback's suffix", "x-rollback", "must not end in -rollback"),
		Entry("a dot", "a.b", "DNS label"),
	)
	It("accepts a name of 54 characters", func() { start(execution(strings.Repeat("x", 54), step("a"))) })

	DescribeTable("refuses steps",
		func(message string, steps ...wfev1.Step) { refuse(execution("bad", steps...), message) },
		Entry("none", "spec.steps"),
		Entry("duplicate names", "Duplicate value", step("a"), step("a")),
		Entry("action and approval", `spec.steps: Invalid value: step "b": approval: a step has either an action or an approval`, step("a"), func() wfev1.Step {
			s := step("b")
			s.Approval = &wfev1.ApprovalRequest{}
			return s
		}()),
		Entry("neither action nor approval", `step "b": approval: a step has either an action or an approval`, step("a"), wfev1.Step{Name: "b"}),
		Entry("a capital letter", "spec.steps[0].name", step("Restart")),
		Entry("a leading digit", "spec.steps[0].name", step("1a")),
		Entry("a trailing hyphen", "spec.steps[0].name", step("a-")),
		Entry("a name of 41 characters", "spec.steps[0].name", step(strings.Repeat("a", 41))),
		Entry("an invalid action", "spec.steps[0].action", calling(step("a"), "Do It")),
		Entry("two values for a parameter", "Duplicate value", with(step("a"), value("object", "x"), value("object", "y"))),
		Entry("a parameter without a value", `step "b": parameters: a parameter has either a value or a valueFrom`, with(step("a"), value("object", "x")), with(step("b"), wfev1.Parameter{Name: "object"})),
		Entry("a rollback's parameter without a value", `step "b": rollback.parameters: a parameter has either a value or a valueFrom`, step("a"), func() wfev1.Step {
			s := step("b")
			s.Rollback = &wfev1.Rollback{Action: doIt, Parameters: []wfev1.Parameter{value("object", "x"), {Name: "other"}}}
			return s
		}()),
		Entry("a duplicate dependency", "Duplicate value", step("a"), step("b", "a", "a")),
		Entry("a retry without a limit", "spec.steps[0].retry.limit", retried(step("a"), 0)),
		Entry("a timeout of zero", "spec.steps[0].timeoutSeconds", bounded(step("a"), 0)),
	)

	It("refuses more than 500 steps", func() {
		steps := make([]wfev1.Step, 501)
		for i := range steps {
			steps[i] = step(fmt.Sprintf("s%d", i))
		}
		refuse(execution("many", steps...), "must have at most 500 items")
	})

	DescribeTable("does not allow changes of a field",
		func(message string, mutate func(*wfev1.WorkflowExecutionSpec)) {
			wfe := execution("fixed", step("a"), wfev1.Step{Name: "ask", Approval: &wfev1.ApprovalRequest{}, DependsOn: []string{"a"}})
			wfe.Spec.Suspended = true
			wfe.Spec.Cancel = wfev1.CancelStop
			wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "ada"}}
			create(wfe)
			was := wfe.DeepCopy()
			mutate(&wfe.Spec)
			Expect(admin.Patch(ctx, wfe, client.MergeFrom(was))).To(MatchError(ContainSubstring(message)))
		},
		Entry("target", "target is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.Target.Name = "other" }),
		Entry("steps", "steps are immutable", func(s *wfev1.WorkflowExecutionSpec) { s.Steps[0].Parameters[0].Value = ptr.To("y") }),
		Entry("number of steps", "steps are immutable", func(s *wfev1.WorkflowExecutionSpec) { s.Steps = append(s.Steps, step("b")) }),
		Entry("critical", "steps are immutable", func(s *wfev1.WorkflowExecutionSpec) { s.Steps[0].Critical = ptr.To(false) }),
		Entry("serviceAccountName", "serviceAccountName is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.ServiceAccountName = "root" }),
		Entry("timeoutSeconds", "timeoutSeconds is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.TimeoutSeconds = ptr.To[int32](5) }),
		Entry("parallelism", "parallelism is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.Parallelism = ptr.To[int32](5) }),
		Entry("rollbackPolicy", "rollbackPolicy is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.RollbackPolicy = wfev1.RollbackNone }),
		Entry("rollbackTimeoutSeconds", "rollbackTimeoutSeconds is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.RollbackTimeoutSeconds = ptr.To[int32](5) }),
		Entry("dryRun", "dryRun is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.DryRun = true }),
		Entry("ttlSecondsAfterFinished", "ttlSecondsAfterFinished is immutable", func(s *wfev1.WorkflowExecutionSpec) { s.TTLSecondsAfterFinished = ptr.To[int32](5) }),
		Entry("cancel, once set", "cancel cannot be taken back", func(s *wfev1.WorkflowExecutionSpec) { s.Cancel = wfev1.CancelNone }),
		Entry("an approval", "a decision cannot be changed", func(s *wfev1.WorkflowExecutionSpec) { s.Approvals[0].Approved = false }),
		Entry("the approver", "a decision cannot be changed", func(s *wfev1.WorkflowExecutionSpec) { s.Approvals[0].By = "eve" }),
		Entry("removed approvals", "an approval cannot be removed", func(s *wfev1.WorkflowExecutionSpec) { s.Approvals = nil }),
	)

	It("does not allow changes of the steps together with the status", func() {
		wfe := start(execution("fixed-steps", step("a")))
		forged := func() (*wfev1.WorkflowExecution, client.Patch) {
			forged := wfe.DeepCopy()
			forged.Spec.Steps[0].Parameters[0].Value = ptr.To("y")
			forged.Status.Progress = "1/1"
			return forged, client.MergeFrom(wfe)
		}
		sent, patch := forged()
		Expect(admin.Patch(ctx, sent, patch)).To(MatchError(ContainSubstring("spec.steps: Invalid value")))
		sent, _ = forged()
		Expect(admin.Update(ctx, sent)).To(MatchError(ContainSubstring("steps are immutable")))
		sent, patch = forged()
		Expect(admin.Status().Patch(ctx, sent, patch)).To(Succeed())
		Expect(sent.Status.Progress).To(Equal("1/1"))
		Expect(sent.Spec).To(Equal(wfe.Spec))
	})

	It("allows changes of suspended, cancel and approvals", func() {
		wfe := execution("open", step("a"), wfev1.Step{Name: "ask", Approval: &wfev1.ApprovalRequest{}, DependsOn: []string{"a"}})
		wfe.Spec.Suspended = true
		create(wfe)
		for _, mutate := range []func(*wfev1.WorkflowExecution){
			func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = false },
			func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true },
			func(wfe *wfev1.WorkflowExecution) {
				wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true}}
			},
			func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = wfev1.CancelStop },
			func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = wfev1.CancelTerminate },
		} {
			change(wfe, mutate)
		}
		was := wfe.DeepCopy()
		wfe.Spec.Cancel = wfev1.CancelStop
		Expect(admin.Patch(ctx, wfe, client.MergeFrom(was))).To(MatchError(ContainSubstring("cancel cannot be taken back")))
	})
})
