package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestEveryActionIsPinned fails for an action of a workflow that is named by a tag, which can be moved, and not by a commit.
func TestEveryActionIsPinned(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob(filepath.Join(root(t), ".github", "workflows", "*.yaml"))
	if err != nil || len(workflows) == 0 {
		t.Fatalf("workflows: %v, %v", workflows, err)
	}
	uses := regexp.MustCompile(`(?m)\buses: *(\S.*)$`)
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, workflow := range workflows {
		content, err := os.ReadFile(workflow)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range uses.FindAllStringSubmatch(string(content), -1) {
			if !pinned.MatchString(match[1]) {
				t.Errorf("%s uses %s: name it by its commit, with the version as a comment", filepath.Base(workflow), match[1])
			}
		}
	}
}

// TestProjectFilesAreYAML reads the files of .github that GitHub reads, which reports mistakes only there.
func TestProjectFilesAreYAML(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(root(t), ".github")
	for _, pattern := range []string{"*.yml", "ISSUE_TEMPLATE/*.yml", "workflows/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, file := range found {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(content, &map[string]any{}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
