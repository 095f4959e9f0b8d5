package command

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	run(t.Context(), "", "--version").check(t, 0, "", "kubectl wfe version v1.2.3")
	run(t.Context(), "", "--help").check(t, 0, "", "kubectl wfe [command]", "approve", "--kubeconfig", "--namespace", "--context")
	run(t.Context(), "", "tree").check(t, 1, "error: accepts 1 arg(s), received 0")
	run(t.Context(), "", "tree", "a", "--none").check(t, 1, "error: unknown flag: --none")
	run(t.Context(), "", "completion", "bash").check(t, 0, "", "kubectl-wfe")
}

// TestReadme verifies that the README's table has every command, and no flag that does not exist.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(Environment{Now: time.Now})
	listed := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(line, "|")
		var current *cobra.Command
		for _, call := range codeSpans(cells[1]) {
			words := strings.Fields(call)
			if current, _, err = root.Find(words[:1]); err != nil || current == root {
				t.Fatalf("the README's table has the unknown command %s", words[0])
			}
			listed[current.Name()] = true
			checkFlags(t, current, words[1:])
		}
		for _, call := range codeSpans(cells[2]) {
			checkFlags(t, current, strings.Fields(call))
		}
	}
	for _, cmd := range root.Commands() {
		if !listed[cmd.Name()] {
			t.Errorf("the README does not list %s", cmd.Name())
		}
	}
}

func codeSpans(text string) []string {
	var spans []string
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			spans = append(spans, part)
		}
	}
	return spans
}

func checkFlags(t *testing.T, cmd *cobra.Command, words []string) {
	t.Helper()
	for _, word := range words {
		name, isLong := strings.CutPrefix(word, "--")
		switch {
		case isLong && name != "help" && cmd.Flags().Lookup(name) == nil,
			!isLong && strings.HasPrefix(word, "-") && cmd.Flags().ShorthandLookup(word[1:]) == nil:
			t.Errorf("%s has no flag %s", cmd.Name(), word)
		}
	}
}
