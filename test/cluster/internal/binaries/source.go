package binaries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// restoreMissing copies the source of a module, adds the files that its archive omits, and returns a go.mod that uses the copy. A copy is
// needed because the module cache is read-only, and the go command accepts no overlay for it.
func (c *Cache) restoreMissing(ctx context.Context, module *Module, version string) (string, error) {
	work := filepath.Join(c.Folder, "src", module.Pin+"-"+version)
	source := filepath.Join(work, "module")
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		if err := c.copySource(ctx, module, source); err != nil {
			return "", fmt.Errorf("copy the source of %s: %w", module.Path, err)
		}
	} else if err != nil {
		return "", fmt.Errorf("find the source of %s: %w", module.Path, err)
	}
	if err := module.restore(source); err != nil {
		return "", fmt.Errorf("add the files that the archive of %s omits: %w", module.Path, err)
	}
	if err := writeReplacing(filepath.Join(c.Pins, module.Pin), work, module.Path, source); err != nil {
		return "", fmt.Errorf("write a go.mod for %s: %w", module.Path, err)
	}
	return filepath.Join(work, "go.mod"), nil
}

func (c *Cache) copySource(ctx context.Context, module *Module, destination string) error {
	original, err := ModuleFolder(ctx, c.Pins, module)
	if err != nil {
		return err
	}
	unfinishedCopy := destination + ".unfinished"
	if err := os.RemoveAll(unfinishedCopy); err != nil {
		return err
	}
	if err := os.CopyFS(unfinishedCopy, os.DirFS(original)); err != nil {
		return err
	}
	return os.Rename(unfinishedCopy, destination)
}

// restore adds the files to a copy of the source of the module. The copy may be older than the list of files.
func (m *Module) restore(source string) error {
	for link, target := range m.Links {
		if err := os.Symlink(target, filepath.Join(source, link)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for name, content := range m.Files {
		file := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeReplacing copies go.mod and go.sum of a pin, and replaces one module by a folder.
func writeReplacing(pin, destination, module, folder string) error {
	content, err := os.ReadFile(filepath.Join(pin, "go.mod"))
	if err != nil {
		return err
	}
	parsed, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		return err
	}
	if err := parsed.AddReplace(module, "", folder, ""); err != nil {
		return err
	}
	formatted, err := parsed.Format()
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(pin, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(destination, "go.mod"), formatted, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(destination, "go.sum"), sums, 0o600)
}

// ModuleFolder returns the folder of a module in the module cache, and downloads the module if it is missing.
func ModuleFolder(ctx context.Context, pins string, module *Module) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module.Path)
	command.Dir = filepath.Join(pins, module.Pin)
	command.Env = buildEnvironment()
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("download %s: %w\n%s", module.Path, err, output)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(output, &answer); err != nil {
		return "", fmt.Errorf("download %s: %w", module.Path, err)
	}
	return answer.Dir, nil
}
