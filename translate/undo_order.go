package translate

import (
	"fmt"
	"slices"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// undoOrder is the order of a rollback: its undos and relays, and what each of them waits for.
type undoOrder struct {
	plan     *Plan
	isUndone bitset
	// order holds undos and relays in reverse plan order; waits has what comes before each.
	order []int
	waits map[int][]int
	// failed are the undos that cannot be translated, of which the order has the critical ones. stopped are the undos and relays that
	// come after one of these.
	failed, stopped bitset
}

// newUndoOrder returns for each undo the undos that must end before it: those of the nearest undone steps that depend on its
// step, directly or through steps that are not undone. A step that is not undone, but has several undos to wait for, becomes
// a relay: a task without a pod that waits for them, and that the undos of its parents wait for. Without relays, the
// expressions would grow with the product of both numbers.
func (p *Plan) newUndoOrder(undone []int, failed bitset) *undoOrder {
	n := len(p.wfe.Spec.Steps)
	o := &undoOrder{plan: p, isUndone: newBitset(n), waits: make(map[int][]int, n), failed: failed, stopped: newBitset(n)}
	for _, i := range undone {
		o.isUndone.add(i)
	}
	nearest := newBitsets(n, n)
	for _, i := range slices.Backward(p.graph.Order()) {
		var before []int
		for _, task := range o.order {
			if nearest[i].has(task) {
				before = append(before, task)
			}
		}
		isRelay := !o.isUndone.has(i) && len(before) > 2 && len(p.graph.Parents(i)) > 0
		if isRelay || o.isUndone.has(i) {
			o.waits[i], o.order = before, append(o.order, i)
		}
		for _, parent := range p.graph.Parents(i) {
			if isRelay || o.isUndone.has(i) {
				nearest[parent].add(i)
			} else {
				nearest[parent].union(nearest[i])
			}
		}
	}
	return o
}

// stop skips the undos that come after a critical one that cannot be translated. Steps has the status of each undo.
func (o *undoOrder) stop(steps map[int]*wfev1.StepStatus) {
	cause := map[int]string{}
	for _, i := range o.order {
		for _, before := range o.waits[i] {
			switch {
			case o.stopped.has(before):
				cause[i] = cause[before]
			case o.isUndone.has(before) && o.failed.has(before):
				cause[i] = o.plan.wfe.Spec.Steps[before].Name
			default:
				continue
			}
			o.stopped.add(i)
			break
		}
		if step := steps[i]; o.stopped.has(i) && step != nil && !o.failed.has(i) {
			step.Phase = wfev1.StepSkipped
			step.Message = fmt.Sprintf("not started, because the undo of step %q must come first and cannot run", cause[i])
		}
	}
}

// runs reports whether an undo or a relay is part of the rollback's Workflow.
func (o *undoOrder) runs(i int) bool {
	return !o.stopped.has(i) && (!o.isUndone.has(i) || !o.failed.has(i))
}

// depends returns the expression that waits for the undos before an undo. After a critical undo that failed, the undos
// that wait for it do not run: its step may still depend on what they would remove.
func (o *undoOrder) depends(i int) string {
	clauses := make([]string, 0, len(o.waits[i]))
	for _, before := range o.waits[i] {
		step := &o.plan.wfe.Spec.Steps[before]
		switch {
		case !o.isUndone.has(before):
			clauses = append(clauses, step.Name+".Skipped")
		case isCriticalUndo(step.Rollback):
			clauses = append(clauses, step.Name+".Succeeded")
		default:
			clauses = append(clauses, fmt.Sprintf("(%[1]s.Succeeded || %[1]s.Failed || %[1]s.Errored)", step.Name))
		}
	}
	return strings.Join(clauses, " && ")
}

func isCriticalUndo(undo *wfev1.Rollback) bool { return undo.Critical == nil || *undo.Critical }
