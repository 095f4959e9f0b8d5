package translate

import (
	"slices"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Graph holds the dependencies of an execution's steps, which have no cycle. It is not for concurrent use.
type Graph struct {
	index   map[string]int
	parents [][]int
	order   []int
	edges   int
	// ancestors has a set for each step. It is computed when first needed: only references to outputs need it.
	ancestors []bitset
}

// NewGraph reads the dependencies of steps. It reports duplicate names, unknown and repeated dependencies, and one
// cycle if there is one; the graph is nil if there is a problem. Memory is linear in steps and edges; so is time, except the
// search for repetitions among the dependencies of one step.
func NewGraph(steps []wfev1.Step) (*Graph, []Problem) {
	g := &Graph{index: make(map[string]int, len(steps)), parents: make([][]int, len(steps))}
	var problems []Problem
	for i := range steps {
		name := steps[i].Name
		if _, taken := g.index[name]; taken {
			problems = append(problems, invalidf(name, "name", "the name is used by two steps"))
			continue
		}
		g.index[name] = i
	}
	for i := range steps {
		var found []Problem
		g.parents[i], found = g.parentsOf(&steps[i])
		g.edges += len(g.parents[i])
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if cycle := g.sort(len(steps)); cycle != nil {
		return nil, []Problem{describeCycle(steps, cycle)}
	}
	return g, nil
}

// parentsOf lists the steps that a step depends on directly, in the specification's order.
func (g *Graph) parentsOf(step *wfev1.Step) ([]int, []Problem) {
	var problems []Problem
	parents := make([]int, 0, len(step.DependsOn))
	for _, name := range step.DependsOn {
		parent, known := g.index[name]
		switch {
		case !known:
			problems = append(problems, invalidf(step.Name, "dependsOn", "there is no step %q", name))
		case slices.Contains(parents, parent):
			problems = append(problems, invalidf(step.Name, "dependsOn", "%q is listed twice", name))
		default:
			parents = append(parents, parent)
		}
	}
	return parents, problems
}

// The states of a step during the search for a cycle.
const (
	unvisited = iota
	onPath
	placed
)

// sort puts every step after its dependencies and otherwise keeps the specification's order: a specification that is
// written in a runnable order keeps it. If there is a cycle, it returns the steps of the cycle.
func (g *Graph) sort(n int) []int {
	g.order = make([]int, 0, n)
	state := make([]int, n)
	var path []int
	var visit func(step int) []int
	visit = func(step int) []int {
		switch state[step] {
		case placed:
			return nil
		case onPath:
			return cycleOf(path, step)
		}
		state[step], path = onPath, append(path, step)
		for _, parent := range g.parents[step] {
			if cycle := visit(parent); cycle != nil {
				return cycle
			}
		}
		state[step], path = placed, path[:len(path)-1]
		g.order = append(g.order, step)
		return nil
	}
	for step := range n {
		if cycle := visit(step); cycle != nil {
			return cycle
		}
	}
	return nil
}

func cycleOf(path []int, start int) []int {
	for i, step := range path {
		if step == start {
			return append(append([]int{}, path[i:]...), start)
		}
	}
	return append([]int{}, path...)
}

// describeCycle names the steps of a cycle in the order of "depends on", at most ten of them.
func describeCycle(steps []wfev1.Step, cycle []int) Problem {
	const most = 10
	names := make([]string, 0, most+1)
	for _, i := range cycle {
		if len(names) == most {
			names = append(names, "…")
			break
		}
		names = append(names, steps[i].Name)
	}
	return invalidf(steps[cycle[0]].Name, "dependsOn", "the dependencies form a cycle: %s", strings.Join(names, " → "))
}

// Edges returns the number of dependencies.
func (g *Graph) Edges() int { return g.edges }

// Order returns the plan order: indices of the steps, every step after its dependencies.
func (g *Graph) Order() []int { return g.order }

// Parents returns the indices of the steps that step i depends on directly, in the specification's order.
func (g *Graph) Parents(i int) []int { return g.parents[i] }

// Index returns the index of the step with this name, and whether there is one.
func (g *Graph) Index(name string) (int, bool) {
	i, ok := g.index[name]
	return i, ok
}

// IsAncestor reports whether step i depends on step ancestor, directly or indirectly.
func (g *Graph) IsAncestor(ancestor, i int) bool {
	if g.ancestors == nil {
		g.ancestors = newBitsets(len(g.parents), len(g.parents))
		for _, step := range g.order {
			set := g.ancestors[step]
			for _, parent := range g.parents[step] {
				set.add(parent)
				set.union(g.ancestors[parent])
			}
		}
	}
	return g.ancestors[i].has(ancestor)
}

type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func newBitsets(sets, n int) []bitset {
	made := make([]bitset, sets)
	for i := range made {
		made[i] = newBitset(n)
	}
	return made
}

func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) union(other bitset) {
	for i, word := range other {
		b[i] |= word
	}
}
