package testutil

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Definitions selects a set of the CRDs of Argo.
type Definitions string

const (
	// Minimal CRDs have no schema of Workflows. The release manifests of Argo contained them before 4.0.
	Minimal Definitions = "minimal"
	// Full CRDs have a schema. The release manifests and the chart of Argo contain them since 4.0. The API server is slow to accept them.
	Full Definitions = "full"
)

// DefinitionFolders returns the folders of the CRDs of this repository and of the minimal CRDs of Argo.
func DefinitionFolders() ([]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	argo, err := ArgoDefinitions(Minimal)
	return []string{filepath.Join(root, "config", "crd"), argo}, err
}

// ArgoDefinitions returns the folder of a set of CRDs in the module of Argo.
func ArgoDefinitions(kind Definitions) (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-workflows/v3").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of Argo: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "manifests", "base", "crds", string(kind)), nil
}
