package controllers_test

import (
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// scenario is a play for a stage: what is applied, how its steps end, and what users do meanwhile.
type scenario struct {
	name  string
	apply []*wfev1.WorkflowExecution
	// outcomes are how steps end, by name; those of a rollback are undo/name. A step that is not in it succeeds.
	outcomes map[string]simulator.Outcome
	deeds    []deed
	// atOnce lets the controller look at y while it creates the Workflow of x.
	atOnce bool
	// ends is how the executions end, in the order of their names, as endOf writes it.
	ends []string
}

func (sc *scenario) script(s *stage) simulator.Script {
	return func(wf *wfv1.Workflow, task string) simulator.Outcome {
		key := task
		if wf.Labels[wfev1.LabelRole] == wfev1.RoleRollback {
			key = "undo/" + task
		}
		outcome, scripted := sc.outcomes[key]
		switch {
		case !scripted:
			return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
		case outcome.Phase == wfv1.NodePending && s.wire.count(func(c call) bool { return c.String() == "delete Pod" }) > 0:
			return simulator.Outcome{Phase: wfv1.NodeError}
		}
		return outcome
	}
}

// The ways in which steps end.
var (
	breaks = simulator.Outcome{Phase: wfv1.NodeFailed, Message: "main: Error (exit code 1)"}
	hangs  = simulator.Outcome{}
	stuck  = simulator.Outcome{Phase: wfv1.NodePending, Message: "ImagePullBackOff: no such host"}
)

// once a step is in a phase.
func once(name, step string, phase wfev1.StepPhase) func(*stage) bool {
	return func(s *stage) bool {
		wfe := s.truth.executions[name]
		if wfe == nil {
			return false
		}
		for _, seen := range append(wfe.Status.Steps, wfe.Status.RollbackSteps...) {
			if seen.Name == step && seen.Phase == phase {
				return true
			}
		}
		return false
	}
}

// when an execution is in a phase.
func when(name string, phase wfev1.Phase) func(*stage) bool {
	return func(s *stage) bool {
		return s.truth.executions[name] != nil && s.truth.executions[name].Status.Phase == phase
	}
}

func approve(approved bool) func(*stage) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: approved, By: "carol"}}
	})
}

func cancelBy(mode wfev1.CancelMode) func(*stage) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = mode })
}

func pause(suspended bool) func(*stage) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = suspended })
}

func remove(s *stage) error { return s.world.Delete(ctx, s.truth.executions["x"]) }

// waiting asks for an approval in the middle of steps that can be undone.
func waiting(seconds int32) *wfev1.WorkflowExecution {
	return execution("x", undone(step("a")), approval("ask", seconds, "a"), step("b", "ask"))
}

func modified(wfe *wfev1.WorkflowExecution, mutate func(*wfev1.WorkflowExecutionSpec)) *wfev1.WorkflowExecution {
	mutate(&wfe.Spec)
	return wfe
}

// scenarios are every way in which an execution can go.
func scenarios() []scenario {
	type spec = wfev1.WorkflowExecutionSpec
	single := func(wfe *wfev1.WorkflowExecution) []*wfev1.WorkflowExecution { return []*wfev1.WorkflowExecution{wfe} }
	fails := map[string]simulator.Outcome{"c": breaks}
	deploy := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
	return []scenario{
		{name: "success", apply: single(execution("x", step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))), ends: []string{"Completed"}},
		{name: "retry", apply: single(execution("x", retried(uncritical(step("c")), 1), step("d", "c"))), outcomes: fails, ends: []string{"Completed"}},
		{name: "dry run", apply: single(modified(execution("x", step("a")), func(s *spec) { s.DryRun = true })), ends: []string{"Completed"}},
		{name: "invalid", apply: single(execution("x", calling(step("a"), broken))), ends: []string{"Failed UnknownAction"}},
		{name: "failure", apply: single(chain("x")), outcomes: fails, ends: []string{"Failed ActionFailed RolledBack=True"}},
		{
			name: "failure beside a running step", apply: single(execution("x", undone(step("a")), step("c", "a"), undone(step("slow", "a")), step("later", "slow"))),
			outcomes: map[string]simulator.Outcome{"c": breaks, "slow": hangs}, deeds: []deed{{when: failing, do: release("slow")}},
			ends: []string{"Failed ActionFailed RolledBack=True"},
		},
		{name: "rollback fails", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"c": breaks, "undo/b": breaks}, ends: []string{"Failed RollbackFailed RolledBack=False"}},
		{
			name: "rollback times out", apply: single(modified(chain("x"), func(s *spec) { s.RollbackTimeoutSeconds = ptr.To[int32](60) })),
			outcomes: map[string]simulator.Outcome{"c": breaks, "undo/a": hangs}, ends: []string{"Failed RollbackFailed RolledBack=False"},
		},
		{
			name: "rollback terminated", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"c": breaks, "undo/a": hangs},
			deeds: []deed{{when: undoing("a"), do: cancelBy(wfev1.CancelTerminate)}}, ends: []string{"Failed RollbackFailed RolledBack=False"},
		},
		{name: "approved", apply: single(waiting(0)), deeds: []deed{{when: when("x", wfev1.PhaseAwaitingApproval), do: approve(true)}}, ends: []string{"Completed"}},
		{
			name: "rejected", apply: single(waiting(0)), deeds: []deed{{when: when("x", wfev1.PhaseAwaitingApproval), do: approve(false)}},
			ends: []string{"Failed ApprovalRejected RolledBack=True"},
		},
		{name: "approval expires", apply: single(waiting(60)), ends: []string{"Failed ApprovalTimeout RolledBack=True"}},
		{
			name: "stopped", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			deeds: []deed{{when: once("x", "b", wfev1.StepRunning), do: cancelBy(wfev1.CancelStop)}}, ends: []string{"Cancelled RolledBack=True"},
		},
		{
			name: "terminated", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			deeds: []deed{{when: once("x", "b", wfev1.StepRunning), do: cancelBy(wfev1.CancelTerminate)}}, ends: []string{"Cancelled"},
		},
		{name: "cancelled before its start", apply: single(modified(chain("x"), func(s *spec) { s.Cancel = wfev1.CancelStop })), ends: []string{"Cancelled"}},
		{
			name: "suspended and resumed", apply: single(execution("x", step("a"), step("b", "a"))), outcomes: map[string]simulator.Outcome{"a": hangs},
			deeds: []deed{
				{when: once("x", "a", wfev1.StepRunning), do: pause(true)}, {when: suspendedInArgo, do: release("a")},
				{when: when("x", wfev1.PhaseSuspended), do: pause(false)},
			},
			ends: []string{"Completed"},
		},
		{
			name: "suspended before its start", apply: single(modified(execution("x", step("a")), func(s *spec) { s.Suspended = true })),
			deeds: []deed{{when: when("x", wfev1.PhasePending), do: pause(false)}}, ends: []string{"Completed"},
		},
		{name: "timeout", apply: single(within(chain("x"), 60)), outcomes: map[string]simulator.Outcome{"b": hangs}, ends: []string{"Failed TimedOut RolledBack=True"}},
		{name: "pod never starts", apply: single(execution("x", undone(step("a")), bounded(step("c", "a"), 30))), outcomes: map[string]simulator.Outcome{"c": stuck}, ends: []string{"Failed ImagePullBackOff RolledBack=True"}},
		{name: "time to live", apply: single(modified(execution("x", step("a")), func(s *spec) { s.TTLSecondsAfterFinished = ptr.To[int32](300) })), ends: []string{"Completed, gone"}},
		{
			name: "deleted while it runs", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			deeds: []deed{{when: once("x", "b", wfev1.StepRunning), do: remove}}, ends: []string{"Running, gone"},
		},
		{name: "lock", apply: []*wfev1.WorkflowExecution{on(deploy, execution("x", step("a"))), on(deploy, execution("y", step("a")))}, ends: []string{"Completed", "Completed"}},
		{name: "at once", apply: []*wfev1.WorkflowExecution{execution("x", step("a")), chain("y")}, outcomes: fails, atOnce: true, ends: []string{"Completed", "Failed ActionFailed RolledBack=True"}},
		{
			name: "lock, and a failure before", apply: []*wfev1.WorkflowExecution{on(deploy, chain("x")), on(deploy, execution("y", step("a")))}, outcomes: fails,
			ends: []string{"Failed ActionFailed RolledBack=True", "Completed"},
		},
	}
}

// failing is when the failure of an execution is recorded and its Workflow kept from starting steps.
func failing(s *stage) bool {
	wfe := s.truth.executions["x"]
	return wfe != nil && wfe.Status.Failure != nil && suspendedInArgo(s)
}

func suspendedInArgo(s *stage) bool {
	return s.truth.workflows["x"] != nil && isSuspended(s.truth.workflows["x"])
}

func undoing(step string) func(*stage) bool {
	return func(s *stage) bool {
		wfe := s.truth.executions["x"]
		if wfe == nil {
			return false
		}
		for _, seen := range wfe.Status.RollbackSteps {
			if seen.Name == step && seen.Phase == wfev1.StepRunning {
				return true
			}
		}
		return false
	}
}

// release lets a step that hangs succeed.
func release(step string) func(*stage) error {
	return func(s *stage) error {
		was := s.script
		s.script = func(wf *wfv1.Workflow, task string) simulator.Outcome {
			if task == step {
				return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
			}
			return was(wf, task)
		}
		return nil
	}
}
