package testutil

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Definitions are a kind of Argo's CustomResourceDefinitions.
type Definitions string

const (
	// Minimal ones have no schema of Workflows, and are what Argo's release manifests had before 4.0.
	Minimal Definitions = "minimal"
	// Full ones have one, and are what Argo's release manifests and its chart have since 4.0; the API server takes long for them.
	Full Definitions = "full"
)

// DefinitionFolders are the folders with the CustomResourceDefinitions of this repository and with Argo's minimal ones.
func DefinitionFolders() ([]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	argo, err := ArgoDefinitions(Minimal)
	return []string{filepath.Join(root, "config", "crd"), argo}, err
}

// ArgoDefinitions is the folder with Argo's CustomResourceDefinitions of a kind, in its module.
func ArgoDefinitions(kind Definitions) (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-workflows/v3").Output()
	if err != nil {
		return "", fmt.Errorf("find Argo's module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "manifests", "base", "crds", string(kind)), nil
}
