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
	run(t.Context(), "", "--help").check(t, 0, "", "kubectl wfe [command]", "approve", `Use "kubectl wfe options"`)
	run(t.Context(), "", "options").check(t, 0, "", "--kubeconfig", "--namespace", "--context")
	run(t.Context(), "", "tree").check(t, 1, "error: required NAME not specified: give the name of an execution, or @latest; see 'kubectl wfe tree --help' for usage")
	run(t.Context(), "", "tree", "a", "b").check(t, 1, `error: unexpected argument "b"; see 'kubectl wfe tree --help' for usage`)
	run(t.Context(), "", "tree", "a", "--none").check(t, 1, "error: unknown flag: --none")
	run(t.Context(), "", "completion", "bash").check(t, 0, "", "kubectl-wfe")
}

// TestHelp verifies that every command has an example of itself and does not repeat the global options.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, cmd := range newRoot(Environment{Now: time.Now}).Commands() {
		if !strings.Contains(cmd.Example, "kubectl wfe "+cmd.Name()) {
			t.Errorf("%s has no example:\n%s", cmd.Name(), cmd.Example)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s has the summary %q", cmd.Name(), cmd.Short)
		}
		help := run(t.Context(), "", cmd.Name(), "--help")
		help.check(t, 0, "", "Usage:", "Examples:", `Use "kubectl wfe options"`)
		if strings.Contains(help.out, "--certificate-authority") {
			t.Errorf("the help of %s repeats the global options:\n%s", cmd.Name(), help.out)
		}
	}
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
		if !listed[cmd.Name()] && cmd.Name() != "options" {
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
