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

// Cache contains programs, and builds those that it lacks.
type Cache struct {
	// Folder is the folder of the cache.
	Folder string
	// Pins is the folder of pins.
	Pins string
	// Progress receives lines of text about the progress.
	Progress io.Writer
}

// Built is a program in the cache.
type Built struct {
	Program Program
	// Version is the version of its upstream module.
	Version string
	// Path is the path of the executable.
	Path string
}

// Set maps the names of programs to the programs in the cache.
type Set map[string]Built

// Path returns the path of a program, which must be in the set.
func (s Set) Path(program Program) string {
	return s[program.Name].Path
}

// Ensure returns the given programs, after it has built those that are missing. Builds of several processes wait for each other.
func (c *Cache) Ensure(ctx context.Context, programs []Program) (Set, error) {
	wanted, err := c.locate(ctx, programs)
	if err != nil {
		return nil, err
	}
	if missing, err := notBuilt(wanted); err != nil || len(missing) == 0 {
		return asSet(wanted), err
	}
	unlock, err := filelock.Acquire(ctx, filepath.Join(c.Folder, "build.lock"), func() {
		fmt.Fprintln(c.Progress, "waiting for another build in the same cache …")
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

// Locate returns the given programs without building them, so their files may be missing.
func (c *Cache) Locate(ctx context.Context, programs []Program) (Set, error) {
	located, err := c.locate(ctx, programs)
	return asSet(located), err
}

// locate computes the path of each program, whether it is built or not.
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

// findToolchain runs in a folder of the pins, because a go.mod may select another toolchain.
func findToolchain(ctx context.Context, pins string) (Toolchain, error) {
	command := exec.CommandContext(ctx, "go", "env", "-json", "GOVERSION", "GOARCH", "GOOS")
	command.Dir = filepath.Join(pins, pause.Pin)
	command.Env = buildEnvironment()
	output, err := command.Output()
	if err != nil {
		return Toolchain{}, fmt.Errorf("get the version of the go command: %w", err)
	}
	var answer struct{ GOVERSION, GOARCH, GOOS string }
	if err := json.Unmarshal(output, &answer); err != nil {
		return Toolchain{}, fmt.Errorf("get the version of the go command: %w", err)
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
			return nil, fmt.Errorf("find %s in the cache: %w", built.Program.Name, err)
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
