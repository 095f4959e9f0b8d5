package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestPictureShowsEveryPackage checks that the README's picture has every command and every package below
// controllers/internal.
func TestPictureShowsEveryPackage(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	picture := regexp.MustCompile("(?s)```mermaid\n(.*?)```").Find(readme)
	shown := regexp.MustCompile(`[\w-]+`).FindAllString(string(picture), -1)
	for _, folder := range []string{"cmd", "controllers/internal"} {
		entries, err := os.ReadDir(filepath.Join(root(t), folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.IsDir() && !slices.Contains(shown, entry.Name()) {
				t.Errorf("README.md's picture does not show %s/%s", folder, entry.Name())
			}
		}
	}
}
