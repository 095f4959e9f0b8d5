// Package checkout finds the repository's root and the cache folder outside of it, and derives the name that keeps the clusters of two
// checkouts apart. It reads folders and the environment, and changes nothing.
package checkout

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MainModule is the path of the module whose go.mod marks the repository's root.
const MainModule = "github.com/kubernaut-io/workflowexecution"

// nestedModule marks the root as well, so that test/cluster works without the main module's go.mod.
const nestedModule = MainModule + "/test/cluster"

// FindRoot walks up from the folder start to the root of the repository.
func FindRoot(start string) (string, error) {
	folder, err := filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("find the repository's root: %w", err)
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return "", fmt.Errorf("find the repository's root: %w", err)
	}
	for {
		module, err := modulePath(folder)
		if err != nil {
			return "", fmt.Errorf("find the repository's root: %w", err)
		}
		switch module {
		case MainModule:
			return folder, nil
		case nestedModule:
			return filepath.Dir(filepath.Dir(folder)), nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", fmt.Errorf("no go.mod of module %s in %s or above it: run the command in a checkout, or name one with --root", MainModule, start)
		}
		folder = parent
	}
}

// modulePath returns the module that the go.mod of a folder declares, or "" where there is none.
func modulePath(folder string) (string, error) {
	file, err := os.Open(filepath.Join(folder, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if module, found := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); found {
			return strings.Trim(strings.TrimSpace(module), `"`), nil
		}
	}
	return "", lines.Err()
}

// ClusterName derives the name of a checkout's cluster from its path. The name is short because it becomes part of the names of network
// links and cgroups.
func ClusterName(prefix, root string) string {
	sum := sha256.Sum256([]byte(root))
	return prefix + "-" + hex.EncodeToString(sum[:])[:6]
}

// ValidateName rejects names that cannot be part of the names of a folder, a network link and a cgroup.
func ValidateName(name string) error {
	if name == "" || len(name) > 12 {
		return fmt.Errorf("cluster name %q: use 1 to 12 characters", name)
	}
	for _, letter := range name {
		if (letter < 'a' || letter > 'z') && (letter < '0' || letter > '9') && letter != '-' {
			return fmt.Errorf("cluster name %q: use lower-case letters, digits and -", name)
		}
	}
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return fmt.Errorf("cluster name %q: it must not start or end with -", name)
	}
	return nil
}

// CacheFolder returns the folder outside of all checkouts that contains binaries, images and the state of clusters.
func CacheFolder() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w (set XDG_CACHE_HOME)", err)
		}
		base = filepath.Join(home, ".cache")
	}
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("find the cache folder: XDG_CACHE_HOME=%s is not an absolute path", base)
	}
	return filepath.Join(base, "workflowexecution"), nil
}

// Pins returns the folder of the modules that pin the version of every program.
func Pins(root string) string {
	return filepath.Join(root, "test", "cluster", "pins")
}
