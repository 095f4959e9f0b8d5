// Command generate writes the manifests of the built-in actions. Its argument is the directory to write to.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/actions"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/manifest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate <directory>")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(directory string) error {
	files, err := manifest.Files(actions.All())
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("creating a directory: %w", err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("writing a manifest: %w", err)
		}
	}
	return nil
}
