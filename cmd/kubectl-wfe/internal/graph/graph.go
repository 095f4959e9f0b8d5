package graph

import (
	"fmt"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// node is a step of the graph.
type node struct {
	name, label string
	phase       wfev1.StepPhase
	approval    bool
	critical    bool
	parents     []int
}

// Write returns the graph of an execution in a format: dot, mermaid or svg.
func Write(wfe *wfev1.WorkflowExecution, format string) (string, error) {
	nodes, err := read(wfe)
	if err != nil {
		return "", err
	}
	switch format {
	case "dot":
		return dot(wfe.Name, nodes), nil
	case "mermaid":
		return mermaid(nodes), nil
	case "svg":
		return svg(wfe.Name, nodes, nil), nil
	}
	return "", fmt.Errorf("%q is not a graph format: use dot, mermaid or svg", format)
}

// read returns the steps in plan order: every step comes after its parents.
func read(wfe *wfev1.WorkflowExecution) ([]node, error) {
	graph, problems := translate.NewGraph(wfe.Spec.Steps)
	if len(problems) > 0 {
		return nil, &translate.InvalidError{Problems: problems}
	}
	phases := make(map[string]wfev1.StepPhase, len(wfe.Status.Steps))
	for i := range wfe.Status.Steps {
		phases[wfe.Status.Steps[i].Name] = wfe.Status.Steps[i].Phase
	}
	position := make([]int, len(wfe.Spec.Steps))
	nodes := make([]node, 0, len(wfe.Spec.Steps))
	for n, i := range graph.Order() {
		position[i] = n
		step := &wfe.Spec.Steps[i]
		made := node{name: step.Name, label: step.Action, phase: phases[step.Name], approval: step.Approval != nil, critical: step.IsCritical()}
		if made.approval {
			made.label = "approval"
		}
		for _, parent := range graph.Parents(i) {
			made.parents = append(made.parents, position[parent])
		}
		nodes = append(nodes, made)
	}
	return nodes, nil
}

// fills are the colors of the phases; a step without a status is white.
var fills = map[wfev1.StepPhase]string{
	wfev1.StepPending: "#f2f2f2", wfev1.StepRunning: "#cfe8fc", wfev1.StepAwaitingApproval: "#fff1c2",
	wfev1.StepCompleted: "#d3f2d8", wfev1.StepFailed: "#fbd0d0", wfev1.StepSkipped: "#e8e8e8", wfev1.StepCancelled: "#f6dccb",
}

func (n *node) fill() string {
	if color, known := fills[n.phase]; known {
		return color
	}
	return "#ffffff"
}

func dot(name string, nodes []node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"]\n", name)
	for i := range nodes {
		n := &nodes[i]
		shape := ""
		if n.approval {
			shape = ", shape=hexagon, style=filled"
		}
		if !n.critical {
			shape = `, style="rounded,filled,dashed"`
		}
		fmt.Fprintf(&b, "  %q [label=%s, fillcolor=%q%s]\n", n.name, quote(n.name+"\n"+n.label), n.fill(), shape)
	}
	for i := range nodes {
		for _, parent := range nodes[i].parents {
			fmt.Fprintf(&b, "  %q -> %q\n", nodes[parent].name, nodes[i].name)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// quote quotes text for dot.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

func mermaid(nodes []node) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i := range nodes {
		n := &nodes[i]
		left, right := "[", "]"
		if n.approval {
			left, right = "{{", "}}"
		}
		fmt.Fprintf(&b, "  s%d%s\"%s<br/>%s\"%s\n", i, left, entities(n.name), entities(n.label), right)
	}
	for i := range nodes {
		for _, parent := range nodes[i].parents {
			fmt.Fprintf(&b, "  s%d --> s%d\n", parent, i)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		style := "fill:" + n.fill() + ",stroke:#555555,color:#111111"
		if !n.critical {
			style += ",stroke-dasharray:4"
		}
		fmt.Fprintf(&b, "  style s%d %s\n", i, style)
	}
	return b.String()
}

// entities escapes text for a quoted Mermaid label.
func entities(text string) string {
	return strings.NewReplacer("&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(text)
}
