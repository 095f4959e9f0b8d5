package binaries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
)

// Cache builds programs that it does not have yet.
type Cache struct {
	// Folder is the cache's folder.
	Folder string
	// Pins is the folder of pins.
	Pins string
	// Progress receives plain lines that say what is being built.
	Progress io.Writer
}

// Built is a program in the cache.
type Built struct {
	Program Program
	// Version is the version of its upstream module.
	Version string
	// Path is the executable's file.
	Path string
}

// Set is what a call of Ensure yields, by the programs' names.
type Set map[string]Built

// Path returns the executable of a program, which must have been asked for.
func (s Set) Path(program Program) string {
	return s[program.Name].Path
}

// Ensure returns the given programs, after building those that are missing. Builders in other processes wait for each other.
func (c *Cache) Ensure(ctx context.Context, programs []Program) (Set, error) {
	wanted, err := c.locate(ctx, programs)
	if err != nil {
		return nil, err
	}
	if missing, err := notBuilt(wanted); err != nil || len(missing) == 0 {
		return asSet(wanted), err
	}
	unlock, err := filelock.Acquire(ctx, filepath.Join(c.Folder, "build.lock"), func() {
		fmt.Fprintln(c.Progress, "waiting for another build of the same cache …")
	})
	if err != nil {
		return nil, fmt.Errorf("lock the cache of binaries: %w", err)
	}
	defer unlock()
	missing, err := notBuilt(wanted)
	if err != nil {
		return nil, err
	}
	if err := c.build(ctx, missing); err != nil {
		return nil, err
	}
	return asSet(wanted), nil
}

// Locate returns the given programs without building them: their files may be missing.
func (c *Cache) Locate(ctx context.Context, programs []Program) (Set, error) {
	located, err := c.locate(ctx, programs)
	return asSet(located), err
}

// locate says where each program is, or would be once it is built.
func (c *Cache) locate(ctx context.Context, programs []Program) ([]Built, error) {
	toolchain, err := findToolchain(ctx, c.Pins)
	if err != nil {
		return nil, err
	}
	located := make([]Built, 0, len(programs))
	for _, program := range programs {
		version, err := pinnedVersion(c.Pins, program.Module)
		if err != nil {
			return nil, err
		}
		key, err := cacheKey(c.Pins, program, version, toolchain)
		if err != nil {
			return nil, err
		}
		located = append(located, Built{
			Program: program,
			Version: version,
			Path:    filepath.Join(c.Folder, "bin", program.Name, version+"-"+key, program.Name),
		})
	}
	return located, nil
}

// findToolchain asks in the folder of pins, because a go.mod may select another toolchain.
func findToolchain(ctx context.Context, pins string) (Toolchain, error) {
	command := exec.CommandContext(ctx, "go", "env", "-json", "GOVERSION", "GOARCH", "GOOS")
	command.Dir = filepath.Join(pins, pause.Pin)
	command.Env = buildEnvironment()
	output, err := command.Output()
	if err != nil {
		return Toolchain{}, fmt.Errorf("ask the go command for its version: %w", err)
	}
	var answer struct{ GOVERSION, GOARCH, GOOS string }
	if err := json.Unmarshal(output, &answer); err != nil {
		return Toolchain{}, fmt.Errorf("ask the go command for its version: %w", err)
	}
	return Toolchain{Version: answer.GOVERSION, OS: answer.GOOS, Arch: answer.GOARCH}, nil
}

func notBuilt(wanted []Built) ([]Built, error) {
	var missing []Built
	for _, built := range wanted {
		_, err := os.Stat(built.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, built)
		case err != nil:
			return nil, fmt.Errorf("look for %s in the cache: %w", built.Program.Name, err)
		}
	}
	return missing, nil
}

func asSet(all []Built) Set {
	set := make(Set, len(all))
	for _, built := range all {
		set[built.Program.Name] = built
	}
	return set
}
