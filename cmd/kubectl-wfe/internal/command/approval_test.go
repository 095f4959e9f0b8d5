package command

import (
	"sync"

	"github.com/google/go-cmp/cmp"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func testDecisions(w *testCluster) {
	wfe := w.createSample("one")
	w.run("approve", "one").check(w.t, 1, `error: "one" does not wait for a decision; to decide in advance, name one of the steps ["ask"]`)
	w.run("approve", "one", "scale-up").check(w.t, 1, `error: "one" has no approval step "scale-up"; it has ["ask"]`)
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.run("approve", "one", "--reason", "looks right").check(w.t, 0, "", `step "ask" of "one" is approved by carol`)
	want := []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "looks right"}}
	if diff := cmp.Diff(want, w.execution("one").Spec.Approvals); diff != "" {
		w.t.Errorf("approvals (-want +got):\n%s", diff)
	}
	w.run("reject", "one", "ask").check(w.t, 1, `error: step "ask" is already approved by "carol"`)

	w.createSample("early")
	w.run("reject", "early", "ask", "--by", "dave").check(w.t, 0, "", `step "ask" of "early" is rejected by dave, before the execution reaches it`)
	if diff := cmp.Diff([]wfev1.Approval{{Step: "ask", By: "dave"}}, w.execution("early").Spec.Approvals); diff != "" {
		w.t.Errorf("approvals (-want +got):\n%s", diff)
	}
	w.mustWriteStatus(w.createSample("ended"), wfev1.PhaseFailed, wfev1.StepFailed)
	w.run("approve", "ended", "ask").check(w.t, 1, `error: "ended" has finished: it is Failed`)
}

// testConcurrentDecisions verifies that no concurrent decision is lost, although a merge patch replaces the list.
func testConcurrentDecisions(w *testCluster) {
	wfe := &wfev1.WorkflowExecution{}
	wfe.Name, wfe.Namespace = "many", w.namespace
	wfe.Spec.Target = wfev1.Target{APIVersion: "v1", Kind: "Node", Name: "node-1"}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		wfe.Spec.Steps = append(wfe.Spec.Steps, wfev1.Step{Name: name, Approval: &wfev1.ApprovalRequest{}})
	}
	if err := w.admin.Create(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, awaiting, awaiting, awaiting)
	w.run("approve", "many").check(w.t, 1, `error: "many" waits for several decisions; name one of the steps ["a" "b" "c"]`)
	results := make([]result, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { results[i] = w.run("approve", "many", name) })
	}
	group.Wait()
	for _, r := range results {
		r.check(w.t, 0, "")
	}
	if n := len(w.execution("many").Spec.Approvals); n != len(names) {
		w.t.Errorf("%d decisions", n)
	}
}
