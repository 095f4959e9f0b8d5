package metrics

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadme compares the table of README.md with the table of the metrics; -update writes it.
func TestReadme(t *testing.T) {
	const path, begin, end = "README.md", "-->\n", "<!-- metrics:end -->"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(content), "<!-- metrics:begin")
	if !found {
		t.Fatal("README.md has no <!-- metrics:begin … --> mark")
	}
	mark, rest, _ := strings.Cut(rest, begin)
	got, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("README.md has no %s mark", end)
	}
	want := MarkdownTable()
	if *update {
		updated := head + "<!-- metrics:begin" + mark + begin + want + end + tail
		if err := os.WriteFile(path, []byte(updated), 0o644); err != nil { //nolint:gosec // a document is readable by all
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of README.md differs; run make generate (-want +got):\n%s", diff)
	}
}
