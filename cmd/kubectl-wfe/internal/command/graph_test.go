package command

import (
	"testing"
)

func TestGraphOfAFile(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"mermaid": "flowchart LR", "dot": "digraph", "svg": "<svg"} {
		run(t.Context(), "", "graph", "-f", samples+"remediate.yaml", "-o", format).check(t, 0, "", want, "raise-memory")
	}
	run(t.Context(), "", "graph").check(t, 1, "error: must specify either the NAME of an execution or a file with -f")
	run(t.Context(), "", "graph", "-f", samples+"remediate.yaml", "name").check(t, 1, "error: must specify either")
}
