package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

var (
	usesAction = regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`)
	pinned     = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
)

// TestActionsArePinned checks that the CI workflows name each action by commit and version, so that it cannot change.
func TestActionsArePinned(t *testing.T) {
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		actions := usesAction.FindAllSubmatch(content, -1)
		if len(actions) == 0 {
			t.Errorf("%s uses no action, want at least one", file)
		}
		for _, action := range actions {
			if !pinned.Match(action[1]) {
				t.Errorf("%s: %s is not pinned to a commit and a version", filepath.Base(file), action[1])
			}
		}
	}
}
