package manifests

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Tool builds a program of Prometheus, of the version that this module pins, into the repository's folder bin, and
// returns its path. It has no clients of the clouds in which it could discover targets: they are most of its code.
func Tool(config, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(config, "..", "bin", name))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-tags=remove_all_sd", "-o", path, "github.com/prometheus/prometheus/cmd/"+name) //nolint:gosec // our own tool
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return path, nil
}
