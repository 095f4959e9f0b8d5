package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/apt"
)

// programs is where Debian keeps those of each version, so that several may be there at once.
const programs = "/usr/lib/postgresql/*/bin/initdb"

// installation is a PostgreSQL of this machine.
type installation struct{ version, library, shared string }

// find returns the newest PostgreSQL, after installing one if there is none.
func find(ctx context.Context, progress io.Writer) (installation, error) {
	found, err := filepath.Glob(programs)
	if err == nil && len(found) == 0 {
		if os.Geteuid() != 0 || !apt.IsAvailable() {
			return installation{}, errors.New("the image of PostgreSQL is made of Debian's package postgresql, and this machine has none: that needs root on Debian")
		}
		if err := apt.Install(ctx, progress, "postgresql"); err != nil {
			return installation{}, err
		}
		found, err = filepath.Glob(programs)
	}
	if err != nil || len(found) == 0 {
		return installation{}, errors.Join(fmt.Errorf("no file is like %s", programs), err)
	}
	library := filepath.Dir(filepath.Dir(slices.Max(found)))
	version := filepath.Base(library)
	return installation{version: version, library: library, shared: "/usr/share/postgresql/" + version}, nil
}

// files lists what the image holds, by absolute paths.
func (i installation) files(ctx context.Context) ([]string, error) {
	executables := []string{"/bin/sh"}
	for _, name := range []string{"postgres", "initdb", "pg_isready"} {
		executables = append(executables, filepath.Join(i.library, "bin", name))
	}
	modules, err := filepath.Glob(filepath.Join(i.library, "lib", "*.so"))
	if err != nil {
		return nil, err
	}
	// Compiling queries takes LLVM, which is larger than all the rest; the server does without.
	modules = slices.DeleteFunc(modules, func(file string) bool { return path.Base(file) == "llvmjit.so" })
	executables = append(executables, modules...)
	libraries, err := sharedLibraries(ctx, executables)
	if err != nil {
		return nil, err
	}
	files := append(executables, libraries...)
	for _, folder := range []string{i.shared, "/usr/share/zoneinfo/Etc"} {
		err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// sharedLibraries lists what the dynamic loader would load, and the loader.
func sharedLibraries(ctx context.Context, executables []string) ([]string, error) {
	output, err := exec.CommandContext(ctx, "ldd", executables...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask for shared libraries: %w", err)
	}
	return parseLoaded(string(output))
}

// parseLoaded reads the paths in the output of ldd. A line names a library, where it is, and its address in memory; what the kernel
// itself provides has no path, and what is not found is an error.
func parseLoaded(output string) ([]string, error) {
	libraries := map[string]bool{}
	for _, line := range strings.Split(output, "\n") {
		if strings.HasSuffix(line, "not found") {
			return nil, fmt.Errorf("a shared library is missing: %s", strings.TrimSpace(line))
		}
		if _, place, arrow := strings.Cut(line, " => "); arrow {
			line = place
		}
		file, _, address := strings.Cut(strings.TrimSpace(line), " (0x")
		if address && path.IsAbs(file) {
			libraries[file] = true
		}
	}
	return slices.Sorted(maps.Keys(libraries)), nil
}
