package tree

import (
	"fmt"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// maxDepth bounds the indentation. A deeper step stays at this depth and names the steps that it waits for.
	maxDepth = 8
	// maxNamed bounds the number of further dependencies on a line.
	maxNamed = 3
)

// node is a step in the tree.
type node struct {
	status *wfev1.StepStatus
	spec   *wfev1.Step
	// above is the position of the parent in the tree, or -1.
	above int
	depth int
	below []int
}

// layout returns the rows of the steps in tree order, with their branches.
func layout(wfe *wfev1.WorkflowExecution, o Options) []row {
	nodes, positions := placeSteps(wfe)
	var roots []int
	for i := range nodes {
		if above := nodes[i].above; above >= 0 {
			nodes[above].below = append(nodes[above].below, i)
		} else {
			roots = append(roots, i)
		}
	}
	var rows []row
	var walk func(siblings []int, indent string)
	walk = func(siblings []int, indent string) {
		for n, i := range siblings {
			k := &nodes[i]
			last := n == len(siblings)-1
			r := newRow(k.status, k.spec, o)
			r.branch = indent + branch(last)
			if note := after(k, nodes, positions); note != "" {
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

// placeSteps puts each step below its deepest dependency; of equally deep ones the last wins. It also returns the
// positions by step name.
func placeSteps(wfe *wfev1.WorkflowExecution) ([]node, map[string]int) {
	steps := wfe.Status.Steps
	if len(steps) == 0 {
		steps = pending(&wfe.Spec)
	}
	specs := make(map[string]*wfev1.Step, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		specs[wfe.Spec.Steps[i].Name] = &wfe.Spec.Steps[i]
	}
	nodes := make([]node, len(steps))
	positions := make(map[string]int, len(steps))
	for i := range steps {
		k := node{status: &steps[i], spec: specs[steps[i].Name], above: -1}
		if k.spec != nil {
			for _, name := range k.spec.DependsOn {
				parent, known := positions[name]
				if known && nodes[parent].depth+1 >= k.depth && (nodes[parent].depth+1 > k.depth || parent > k.above) {
					k.above, k.depth = parent, nodes[parent].depth+1
				}
			}
		}
		if k.depth > maxDepth {
			k.above, k.depth = nodes[k.above].above, maxDepth
		}
		nodes[i], positions[steps[i].Name] = k, i
	}
	return nodes, positions
}

// pending returns the steps of an execution that has no status yet.
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

// after names the dependencies that a pending step waits for in addition to its parent in the tree.
func after(k *node, nodes []node, positions map[string]int) string {
	if k.spec == nil || k.status.Phase != wfev1.StepPending {
		return ""
	}
	var names []string
	for _, name := range k.spec.DependsOn {
		if parent, known := positions[name]; known && parent != k.above && !nodes[parent].status.Phase.IsTerminal() {
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
