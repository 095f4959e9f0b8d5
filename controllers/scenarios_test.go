package controllers_test

import (
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// scenario is what a simulation plays: the executions, how their steps end, and what users do.
type scenario struct {
	name  string
	apply []*wfev1.WorkflowExecution
	// outcomes are how steps end, by name, or undo/name in a rollback. Other steps succeed.
	outcomes    map[string]simulator.Outcome
	userActions []userAction
	// atOnce reconciles y while the controller creates the Workflow of x.
	atOnce bool
	// ends are the results of endOf for the executions, sorted by name.
	ends []string
}

func (sc *scenario) script(s *simulation) simulator.Script {
	return func(wf *wfv1.Workflow, task string) simulator.Outcome {
		key := task
		if wf.Labels[wfev1.LabelRole] == wfev1.RoleRollback {
			key = "undo/" + task
		}
		outcome, scripted := sc.outcomes[key]
		switch {
		case !scripted:
			return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
		case outcome.Phase == wfv1.NodePending && s.calls.count(func(c call) bool { return c.String() == "delete Pod" }) > 0:
			return simulator.Outcome{Phase: wfv1.NodeError}
		}
		return outcome
	}
}

// How steps end.
var (
	breaks = simulator.Outcome{Phase: wfv1.NodeFailed, Message: "main: Error (exit code 1)"}
	hangs  = simulator.Outcome{}
	stuck  = simulator.Outcome{Phase: wfv1.NodePending, Message: "ImagePullBackOff: no such host"}
)

// once reports whether a step is in a phase.
func once(name, step string, phase wfev1.StepPhase) func(*simulation) bool {
	return func(s *simulation) bool {
		wfe := s.stored.Executions[name]
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

// when reports whether an execution is in a phase.
func when(name string, phase wfev1.Phase) func(*simulation) bool {
	return func(s *simulation) bool {
		return s.stored.Executions[name] != nil && s.stored.Executions[name].Status.Phase == phase
	}
}

func approve(approved bool) func(*simulation) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: approved, By: "carol"}}
	})
}

func cancelBy(mode wfev1.CancelMode) func(*simulation) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = mode })
}

func pause(suspended bool) func(*simulation) error {
	return edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = suspended })
}

func remove(s *simulation) error { return s.api.Delete(ctx, s.stored.Executions["x"]) }

// waiting is an execution with an approval between its steps.
func waiting(seconds int32) *wfev1.WorkflowExecution {
	return execution("x", undone(step("a")), approval("ask", seconds, "a"), step("b", "ask"))
}

func modified(wfe *wfev1.WorkflowExecution, mutate func(*wfev1.WorkflowExecutionSpec)) *wfev1.WorkflowExecution {
	mutate(&wfe.Spec)
	return wfe
}

// scenarios are all ways in which an execution can end.
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
			name: "failure during another step", apply: single(execution("x", undone(step("a")), step("c", "a"), undone(step("slow", "a")), step("later", "slow"))),
			outcomes: map[string]simulator.Outcome{"c": breaks, "slow": hangs}, userActions: []userAction{{when: failing, do: release("slow")}},
			ends: []string{"Failed ActionFailed RolledBack=True"},
		},
		{name: "rollback fails", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"c": breaks, "undo/b": breaks}, ends: []string{"Failed RollbackFailed RolledBack=False"}},
		{
			name: "rollback times out", apply: single(modified(chain("x"), func(s *spec) { s.RollbackTimeoutSeconds = ptr.To[int32](60) })),
			outcomes: map[string]simulator.Outcome{"c": breaks, "undo/a": hangs}, ends: []string{"Failed RollbackFailed RolledBack=False"},
		},
		{
			name: "rollback terminated", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"c": breaks, "undo/a": hangs},
			userActions: []userAction{{when: undoing("a"), do: cancelBy(wfev1.CancelTerminate)}}, ends: []string{"Failed RollbackFailed RolledBack=False"},
		},
		{name: "approved", apply: single(waiting(0)), userActions: []userAction{{when: when("x", wfev1.PhaseAwaitingApproval), do: approve(true)}}, ends: []string{"Completed"}},
		{
			name: "rejected", apply: single(waiting(0)), userActions: []userAction{{when: when("x", wfev1.PhaseAwaitingApproval), do: approve(false)}},
			ends: []string{"Failed ApprovalRejected RolledBack=True"},
		},
		{name: "approval expires", apply: single(waiting(60)), ends: []string{"Failed ApprovalTimeout RolledBack=True"}},
		{
			name: "stopped", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			userActions: []userAction{{when: once("x", "b", wfev1.StepRunning), do: cancelBy(wfev1.CancelStop)}}, ends: []string{"Cancelled RolledBack=True"},
		},
		{
			name: "terminated", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			userActions: []userAction{{when: once("x", "b", wfev1.StepRunning), do: cancelBy(wfev1.CancelTerminate)}}, ends: []string{"Cancelled"},
		},
		{name: "cancelled before the start", apply: single(modified(chain("x"), func(s *spec) { s.Cancel = wfev1.CancelStop })), ends: []string{"Cancelled"}},
		{
			name: "suspended and resumed", apply: single(execution("x", step("a"), step("b", "a"))), outcomes: map[string]simulator.Outcome{"a": hangs},
			userActions: []userAction{
				{when: once("x", "a", wfev1.StepRunning), do: pause(true)}, {when: suspendedInArgo, do: release("a")},
				{when: when("x", wfev1.PhaseSuspended), do: pause(false)},
			},
			ends: []string{"Completed"},
		},
		{
			name: "suspended before the start", apply: single(modified(execution("x", step("a")), func(s *spec) { s.Suspended = true })),
			userActions: []userAction{{when: when("x", wfev1.PhasePending), do: pause(false)}}, ends: []string{"Completed"},
		},
		{name: "timeout", apply: single(within(chain("x"), 60)), outcomes: map[string]simulator.Outcome{"b": hangs}, ends: []string{"Failed TimedOut RolledBack=True"}},
		{name: "pod never starts", apply: single(execution("x", undone(step("a")), bounded(step("c", "a"), 30))), outcomes: map[string]simulator.Outcome{"c": stuck}, ends: []string{"Failed ImagePullBackOff RolledBack=True"}},
		{name: "time to live", apply: single(modified(execution("x", step("a")), func(s *spec) { s.TTLSecondsAfterFinished = ptr.To[int32](300) })), ends: []string{"Completed, gone"}},
		{
			name: "deleted while running", apply: single(chain("x")), outcomes: map[string]simulator.Outcome{"b": hangs},
			userActions: []userAction{{when: once("x", "b", wfev1.StepRunning), do: remove}}, ends: []string{"Running, gone"},
		},
		{name: "target lock", apply: []*wfev1.WorkflowExecution{on(deploy, execution("x", step("a"))), on(deploy, execution("y", step("a")))}, ends: []string{"Completed", "Completed"}},
		{name: "concurrent starts", apply: []*wfev1.WorkflowExecution{execution("x", step("a")), chain("y")}, outcomes: fails, atOnce: true, ends: []string{"Completed", "Failed ActionFailed RolledBack=True"}},
		{
			name: "target lock after a failure", apply: []*wfev1.WorkflowExecution{on(deploy, chain("x")), on(deploy, execution("y", step("a")))}, outcomes: fails,
			ends: []string{"Failed ActionFailed RolledBack=True", "Completed"},
		},
	}
}

// failing reports whether the failure of the execution is recorded and its Workflow is suspended.
func failing(s *simulation) bool {
	wfe := s.stored.Executions["x"]
	return wfe != nil && wfe.Status.Failure != nil && suspendedInArgo(s)
}

func suspendedInArgo(s *simulation) bool {
	return s.stored.Workflows["x"] != nil && isSuspended(s.stored.Workflows["x"])
}

func undoing(step string) func(*simulation) bool {
	return func(s *simulation) bool {
		wfe := s.stored.Executions["x"]
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

// release lets a hanging step succeed.
func release(step string) func(*simulation) error {
	return func(s *simulation) error {
		script := s.script
		s.script = func(wf *wfv1.Workflow, task string) simulator.Outcome {
			if task == step {
				return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
			}
			return script(wf, task)
		}
		return nil
	}
}
