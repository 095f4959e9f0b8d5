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

// programs matches initdb of every installed version, because Debian has a folder for each.
const programs = "/usr/lib/postgresql/*/bin/initdb"

// installation is an installed version of PostgreSQL.
type installation struct{ version, library, shared string }

// find returns the newest PostgreSQL of this machine, after it has installed one if none is installed.
func find(ctx context.Context, progress io.Writer) (installation, error) {
	found, err := filepath.Glob(programs)
	if err == nil && len(found) == 0 {
		if os.Geteuid() != 0 || !apt.IsAvailable() {
			return installation{}, errors.New("the image of PostgreSQL needs the Debian package postgresql, which is not installed: install it, or run this command as root on Debian")
		}
		if err := apt.Install(ctx, progress, "postgresql"); err != nil {
			return installation{}, err
		}
		found, err = filepath.Glob(programs)
	}
	if err != nil || len(found) == 0 {
		return installation{}, errors.Join(fmt.Errorf("no file matches %s", programs), err)
	}
	library := filepath.Dir(filepath.Dir(slices.Max(found)))
	version := filepath.Base(library)
	return installation{version: version, library: library, shared: "/usr/share/postgresql/" + version}, nil
}

// files lists the absolute paths of the files of the image.
func (i installation) files(ctx context.Context) ([]string, error) {
	executables := []string{"/bin/sh"}
	for _, name := range []string{"postgres", "initdb", "pg_isready"} {
		executables = append(executables, filepath.Join(i.library, "bin", name))
	}
	modules, err := filepath.Glob(filepath.Join(i.library, "lib", "*.so"))
	if err != nil {
		return nil, err
	}
	// The compiler of queries needs LLVM, which is larger than all other files. The server works without it.
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

// sharedLibraries lists the libraries that the dynamic loader loads, and the loader.
func sharedLibraries(ctx context.Context, executables []string) ([]string, error) {
	output, err := exec.CommandContext(ctx, "ldd", executables...).Output()
	if err != nil {
		return nil, fmt.Errorf("list shared libraries: %w", err)
	}
	return parseLoaded(string(output))
}

// parseLoaded returns the paths in the output of ldd. A line consists of a library, its path and its address in memory. The library of the
// kernel has no path. A library that was not found is an error.
func parseLoaded(output string) ([]string, error) {
	libraries := map[string]bool{}
	for _, line := range strings.Split(output, "\n") {
		if strings.HasSuffix(line, "not found") {
			return nil, fmt.Errorf("a shared library is missing: %s", strings.TrimSpace(line))
		}
		if _, location, arrow := strings.Cut(line, " => "); arrow {
			line = location
		}
		file, _, address := strings.Cut(strings.TrimSpace(line), " (0x")
		if address && path.IsAbs(file) {
			libraries[file] = true
		}
	}
	return slices.Sorted(maps.Keys(libraries)), nil
}
