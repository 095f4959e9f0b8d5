package tree

import (
	"fmt"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// maxDepth bounds the indentation: what lies deeper stays at this depth and names what it comes after.
	maxDepth = 8
	// maxNamed bounds how many further dependencies a line names.
	maxNamed = 3
)

// knot is a step in the tree.
type knot struct {
	status *wfev1.StepStatus
	spec   *wfev1.Step
	// above is the position of the step that this one hangs below, or -1.
	above int
	depth int
	below []int
}

// layout is the rows of the steps in the order and with the branches of the tree.
func layout(wfe *wfev1.WorkflowExecution, o Options) []row {
	knots, place := hang(wfe)
	var roots []int
	for i := range knots {
		if above := knots[i].above; above >= 0 {
			knots[above].below = append(knots[above].below, i)
		} else {
			roots = append(roots, i)
		}
	}
	var rows []row
	var walk func(siblings []int, indent string)
	walk = func(siblings []int, indent string) {
		for n, i := range siblings {
			k := &knots[i]
			last := n == len(siblings)-1
			r := newRow(k.status, k.spec, o)
			r.branch = indent + branch(last)
			if note := after(k, knots, place); note != "" {
				r.notes = append(r.notes, note)
			}
			rows = append(rows, r)
			trunk := "│  "
			if last {
				trunk = "   "
			}
			walk(k.below, indent+trunk)
		}
	}
	walk(roots, "")
	return rows
}

func branch(last bool) string {
	if last {
		return "└─ "
	}
	return "├─ "
}

// hang puts each step below the deepest one that it depends on, of equally deep ones the last. The second result is the
// positions by name.
func hang(wfe *wfev1.WorkflowExecution) ([]knot, map[string]int) {
	steps := wfe.Status.Steps
	if len(steps) == 0 {
		steps = pending(&wfe.Spec)
	}
	specs := make(map[string]*wfev1.Step, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		specs[wfe.Spec.Steps[i].Name] = &wfe.Spec.Steps[i]
	}
	knots := make([]knot, len(steps))
	place := make(map[string]int, len(steps))
	for i := range steps {
		k := knot{status: &steps[i], spec: specs[steps[i].Name], above: -1}
		if k.spec != nil {
			for _, name := range k.spec.DependsOn {
				parent, known := place[name]
				if known && knots[parent].depth+1 >= k.depth && (knots[parent].depth+1 > k.depth || parent > k.above) {
					k.above, k.depth = parent, knots[parent].depth+1
				}
			}
		}
		if k.depth > maxDepth {
			k.above, k.depth = knots[k.above].above, maxDepth
		}
		knots[i], place[steps[i].Name] = k, i
	}
	return knots, place
}

// pending is the steps of an execution that the controller has not seen yet.
func pending(spec *wfev1.WorkflowExecutionSpec) []wfev1.StepStatus {
	steps := make([]wfev1.StepStatus, 0, len(spec.Steps))
	add := func(i int) {
		steps = append(steps, wfev1.StepStatus{Name: spec.Steps[i].Name, Action: spec.Steps[i].Action, Phase: wfev1.StepPending})
	}
	if graph, problems := translate.NewGraph(spec.Steps); len(problems) == 0 {
		for _, i := range graph.Order() {
			add(i)
		}
		return steps
	}
	for i := range spec.Steps {
		add(i)
	}
	return steps
}

// after names what a step that has not started waits for beside the step above it.
func after(k *knot, knots []knot, place map[string]int) string {
	if k.spec == nil || k.status.Phase != wfev1.StepPending {
		return ""
	}
	var names []string
	for _, name := range k.spec.DependsOn {
		if parent, known := place[name]; known && parent != k.above && !knots[parent].status.Phase.IsTerminal() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(names)-maxNamed)
		names = names[:maxNamed]
	}
	return "after " + strings.Join(names, ", ") + more
}
