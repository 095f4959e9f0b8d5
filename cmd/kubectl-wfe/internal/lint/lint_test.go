package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
)

var update = flag.Bool("update", false, "write the golden files")

// newChecker returns a checker for the built-in actions and those of further catalogs.
func newChecker(t *testing.T, more ...*catalog.Catalog) *Checker {
	t.Helper()
	known, err := catalog.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range more {
		known = own.Over(known)
	}
	checker, err := NewChecker(known.Actions())
	if err != nil {
		t.Fatal(err)
	}
	return checker
}

// TestGolden compares the problems of every testdata/<case>.yaml with <case>.txt.
func TestGolden(t *testing.T) {
	t.Parallel()
	checker := newChecker(t)
	cases, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, in := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(in), ".yaml"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(in)
			if err != nil {
				t.Fatal(err)
			}
			valid, problems := checker.Check(filepath.Base(in), content)
			var b strings.Builder
			for _, v := range valid {
				fmt.Fprintf(&b, "%s has %d dependencies, rollback policy %s\n", v.WFE.Name, v.Plan.Graph().Edges(), v.WFE.Spec.RollbackPolicy)
			}
			for _, p := range problems {
				fmt.Fprintln(&b, p)
			}
			golden := strings.TrimSuffix(in, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSamples verifies that the samples have no problems.
func TestSamples(t *testing.T) {
	t.Parallel()
	own, err := catalog.FromFolder("../../../../config/samples/actions")
	if err != nil || len(own.Problems) > 0 {
		t.Fatalf("the samples' actions: %v %v", err, own.Problems)
	}
	checker := newChecker(t, own)
	samples, err := filepath.Glob("../../../../config/samples/*.yaml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		content, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		valid, problems := checker.Check(filepath.Base(sample), content)
		if len(valid) == 0 || len(problems) > 0 {
			t.Errorf("%s: %d executions, problems %v", sample, len(valid), problems)
		}
	}
}

// TestValuesAreReadAsByKubectl verifies that values follow YAML 1.1, where yes is true.
func TestValuesAreReadAsByKubectl(t *testing.T) {
	t.Parallel()
	documents, problems := read("in.yaml", []byte("kind: WorkflowExecution\nspec: {dryRun: yes}\n"))
	if len(documents) != 1 || len(problems) != 0 {
		t.Fatalf("%d documents, problems %v", len(documents), problems)
	}
	if diff := cmp.Diff(map[string]any{"dryRun": true}, documents[0].object["spec"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLinesInLists verifies the line of a problem after comments, in a later document, and in a list.
func TestLinesInLists(t *testing.T) {
	t.Parallel()
	content := "# one\n---\n# three\nkind: List\nitems:\n- apiVersion: workflowexecution.kubernaut.io/v1alpha1\n  kind: WorkflowExecution\n" +
		"  metadata: {name: a}\n  spec:\n    target: {apiVersion: v1, kind: Node, name: node-1}\n    steps:\n    - name: s\n      action: none\n"
	_, problems := newChecker(t).Check("in.yaml", []byte(content))
	want := []Problem{{File: "in.yaml", Line: 13, Execution: "a", Step: "s", Field: "action", Message: `action "none" is not in the catalog`}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
