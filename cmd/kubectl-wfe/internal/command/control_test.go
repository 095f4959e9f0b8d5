package command

import (
	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func testControl(w *testCluster) {
	wfe := w.createSample("control")
	w.mustWriteStatus(wfe, wfev1.PhaseRunning, wfev1.StepRunning)
	w.run("resume", "control").check(w.t, 0, "", `"control" is not suspended`)
	w.run("suspend", "control").check(w.t, 0, "", `"control" is suspended`)
	if !w.execution("control").Spec.Suspended {
		w.t.Error("spec.suspended is false after suspend")
	}
	w.run("suspend", "control").check(w.t, 0, "", "is already suspended")
	w.run("resume", "control").check(w.t, 0, "", `"control" is resumed`)
	if w.execution("control").Spec.Suspended {
		w.t.Error("spec.suspended is true after resume")
	}
	w.run("cancel", "control").check(w.t, 0, "", "the completed steps are rolled back")
	w.run("cancel", "control").check(w.t, 0, "", "is already being cancelled")
	if got := w.execution("control").Spec.Cancel; got != wfev1.CancelStop {
		w.t.Errorf("cancel is %q", got)
	}
	w.run("cancel", "control", "--terminate").check(w.t, 0, "", "its steps stop, and nothing is rolled back")
	if got := w.execution("control").Spec.Cancel; got != wfev1.CancelTerminate {
		w.t.Errorf("cancel is %q", got)
	}
	w.run("cancel", "control").check(w.t, 0, "", "is already being cancelled")
	w.mustWriteStatus(w.execution("control"), wfev1.PhaseCancelled, wfev1.StepCancelled)
	for _, command := range []string{"cancel", "suspend", "resume"} {
		w.run(command, "control").check(w.t, 1, `error: "control" has finished: it is Cancelled`)
	}

	w.mustWriteStatus(w.createSample("undoing"), wfev1.PhaseRollingBack, wfev1.StepFailed)
	w.run("cancel", "undoing").check(w.t, 0, "", "is already being rolled back; use --terminate to stop the rollback")
	if got := w.execution("undoing").Spec.Cancel; got != wfev1.CancelNone {
		w.t.Errorf("cancel is %q", got)
	}
}
