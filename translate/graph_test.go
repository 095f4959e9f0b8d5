package translate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestGraphOrder(t *testing.T) {
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   []string
	}{
		"NoDependencies": {
			reason: "Steps that could run in any order keep the specification's.",
			steps:  []wfev1.Step{newStep("c"), newStep("a"), newStep("b")},
			want:   []string{"c", "a", "b"},
		},
		"Runnable": {
			reason: "A specification in a runnable order is its own plan, whatever the shape.",
			steps: []wfev1.Step{
				newStep("z"), newStep("y", after("z")), newStep("a"), newStep("x", after("a", "z")), newStep("b", after("x", "y")),
			},
			want: []string{"z", "y", "a", "x", "b"},
		},
		"Reversed": {
			reason: "Dependencies come first where the specification names them last.",
			steps:  []wfev1.Step{newStep("c", after("b")), newStep("b", after("a")), newStep("a")},
			want:   []string{"a", "b", "c"},
		},
		"LateDependency": {
			reason: "Only what a step needs is moved before it; the rest stays.",
			steps:  []wfev1.Step{newStep("a"), newStep("b", after("d")), newStep("c"), newStep("d")},
			want:   []string{"a", "d", "b", "c"},
		},
		"DependenciesInTheirOwnOrder": {
			reason: "The dependencies of one step are placed in the order in which it lists them.",
			steps:  []wfev1.Step{newStep("a", after("c", "b")), newStep("b"), newStep("c")},
			want:   []string{"c", "b", "a"},
		},
		"Diamond": {
			reason: "A step that two others need is placed once.",
			steps:  []wfev1.Step{newStep("d", after("b", "c")), newStep("b", after("a")), newStep("c", after("a")), newStep("a")},
			want:   []string{"a", "b", "c", "d"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			graph, problems := NewGraph(tc.steps)
			if len(problems) > 0 {
				t.Fatalf("%s\nproblems: %v", tc.reason, problems)
			}
			var got []string
			for _, i := range graph.Order() {
				got = append(got, tc.steps[i].Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\norder (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// ring is n steps, each of which depends on the next and the last one on the first.
func ring(n int) []wfev1.Step {
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i] = newStep(fmt.Sprintf("s%d", i), after(fmt.Sprintf("s%d", (i+1)%n)))
	}
	return steps
}

func TestGraphProblems(t *testing.T) {
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   []Problem
	}{
		"Self": {
			reason: "A step that waits for itself is a cycle of one.",
			steps:  []wfev1.Step{newStep("a", after("a"))},
			want:   []Problem{invalidf("a", "dependsOn", "the dependencies form a cycle: a → a")},
		},
		"Pair": {
			reason: "The cycle is told in the order of depends on.",
			steps:  ring(2),
			want:   []Problem{invalidf("s0", "dependsOn", "the dependencies form a cycle: s0 → s1 → s0")},
		},
		"WithTail": {
			reason: "Steps that lead into a cycle are not part of it.",
			steps:  []wfev1.Step{newStep("in", after("a")), newStep("a", after("b")), newStep("b", after("a")), newStep("out")},
			want:   []Problem{invalidf("a", "dependsOn", "the dependencies form a cycle: a → b → a")},
		},
		"TwoCycles": {
			reason: "One cycle is named: the first in the specification's order.",
			steps: []wfev1.Step{
				newStep("x"), newStep("a", after("b")), newStep("b", after("a")), newStep("c", after("d")), newStep("d", after("c")),
			},
			want: []Problem{invalidf("a", "dependsOn", "the dependencies form a cycle: a → b → a")},
		},
		"Ten": {
			reason: "Ten steps are named; the closing one is left to the reader.",
			steps:  ring(10),
			want:   []Problem{invalidf("s0", "dependsOn", "the dependencies form a cycle: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9 → …")},
		},
		"Long": {
			reason: "A message names at most ten steps of a cycle of ten thousand.",
			steps:  ring(10000),
			want:   []Problem{invalidf("s0", "dependsOn", "the dependencies form a cycle: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9 → …")},
		},
		"Unknown": {
			reason: "Each unknown dependency is told with the step that names it.",
			steps:  []wfev1.Step{newStep("a", after("ghost", "b", "phantom")), newStep("b")},
			want: []Problem{
				invalidf("a", "dependsOn", `there is no step "ghost"`),
				invalidf("a", "dependsOn", `there is no step "phantom"`),
			},
		},
		"Repeated": {
			reason: "A dependency that is listed twice is an error.",
			steps:  []wfev1.Step{newStep("a"), newStep("b", after("a", "a"))},
			want:   []Problem{invalidf("b", "dependsOn", `"a" is listed twice`)},
		},
		"DuplicateName": {
			reason: "Argo would refuse two tasks of one name.",
			steps:  []wfev1.Step{newStep("a"), newStep("b"), newStep("a")},
			want:   []Problem{invalidf("a", "name", "the name is used by two steps")},
		},
		"DuplicateNameHidesCycle": {
			reason: "Cycles are looked for only among names that are clear.",
			steps:  []wfev1.Step{newStep("a", after("a")), newStep("a")},
			want:   []Problem{invalidf("a", "name", "the name is used by two steps")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			graph, got := NewGraph(tc.steps)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nproblems (-want +got):\n%s", tc.reason, diff)
			}
			if graph != nil {
				t.Errorf("%s\nthere is a graph beside the problems", tc.reason)
			}
		})
	}
}

func TestGraphOfLongChain(t *testing.T) {
	const n = 10000
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i] = newStep(fmt.Sprintf("s%d", i))
		if i < n-1 {
			steps[i].DependsOn = []string{fmt.Sprintf("s%d", i+1)}
		}
	}
	graph, problems := NewGraph(steps)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := make([]int, n)
	for i := range want {
		want[i] = n - 1 - i
	}
	if diff := cmp.Diff(want, graph.Order()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if graph.Edges() != n-1 {
		t.Errorf("want %d edges, got %d", n-1, graph.Edges())
	}
	if !graph.IsAncestor(n-1, 0) || graph.IsAncestor(0, n-1) {
		t.Error("the end of the chain must be an ancestor of its start, and not the reverse")
	}
}

func TestGraphLookups(t *testing.T) {
	steps := []wfev1.Step{newStep("a", after("c", "b")), newStep("b"), newStep("c")}
	graph, problems := NewGraph(steps)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]int{2, 1}, graph.Parents(0)); diff != "" {
		t.Errorf("parents (-want +got):\n%s", diff)
	}
	if i, ok := graph.Index("c"); i != 2 || !ok {
		t.Errorf("want index 2, got %d, %t", i, ok)
	}
	if _, ok := graph.Index("d"); ok {
		t.Error("there is no step d")
	}
}

// drawDAG draws steps with dependencies free of cycles, in an order that need not be runnable.
func drawDAG(t *rapid.T, most int) []wfev1.Step {
	n := rapid.IntRange(1, most).Draw(t, "steps")
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i] = newStep(fmt.Sprintf("s%d", i))
		for parent := range i {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 3 {
				steps[i].DependsOn = append(steps[i].DependsOn, fmt.Sprintf("s%d", parent))
			}
		}
	}
	return rapid.Permutation(steps).Draw(t, "order")
}

// reaches is the slow and obvious answer to whether a step depends on another.
func reaches(steps map[string][]string, from, to string) bool {
	for _, parent := range steps[from] {
		if parent == to || reaches(steps, parent, to) {
			return true
		}
	}
	return false
}

func TestGraphProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := drawDAG(t, 12)
		graph, problems := NewGraph(steps)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		position := make(map[string]int, len(steps))
		for at, i := range graph.Order() {
			position[steps[i].Name] = at
		}
		if len(position) != len(steps) {
			t.Fatalf("the order has %d of %d steps", len(position), len(steps))
		}
		parents := map[string][]string{}
		for _, step := range steps {
			parents[step.Name] = step.DependsOn
			for _, parent := range step.DependsOn {
				if position[parent] > position[step.Name] {
					t.Errorf("%s is placed before its dependency %s", step.Name, parent)
				}
			}
		}
		for i := range steps {
			for j := range steps {
				want := reaches(parents, steps[i].Name, steps[j].Name)
				if got := graph.IsAncestor(j, i); got != want {
					t.Errorf("IsAncestor(%s, %s): want %t, got %t", steps[j].Name, steps[i].Name, want, got)
				}
			}
		}
	})
}

func TestGraphFindsEveryCycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10).Draw(t, "steps")
		steps := make([]wfev1.Step, n)
		depends := make([][]bool, n)
		for i := range steps {
			steps[i], depends[i] = newStep(fmt.Sprintf("s%d", i)), make([]bool, n)
			for parent := range n {
				if rapid.IntRange(0, 4).Draw(t, "edge") == 4 {
					steps[i].DependsOn = append(steps[i].DependsOn, fmt.Sprintf("s%d", parent))
					depends[i][parent] = true
				}
			}
		}
		want := hasLoop(depends)
		_, problems := NewGraph(steps)
		if got := len(problems) > 0; got != want {
			t.Errorf("want a cycle: %t, got %v", want, problems)
		}
	})
}

// hasLoop computes the transitive closure (Warshall) and checks its diagonal.
func hasLoop(depends [][]bool) bool {
	for via := range depends {
		for from := range depends {
			for to := range depends {
				depends[from][to] = depends[from][to] || depends[from][via] && depends[via][to]
			}
		}
	}
	for i := range depends {
		if depends[i][i] {
			return true
		}
	}
	return false
}
