package testutil

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// DefinitionFolders are the folders with the CustomResourceDefinitions of this repository and with Argo's minimal ones.
func DefinitionFolders() ([]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	argo, err := ArgoDefinitions()
	return []string{filepath.Join(root, "config", "crd"), argo}, err
}

// ArgoDefinitions is the folder with Argo's minimal CustomResourceDefinitions, in its module.
func ArgoDefinitions() (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-workflows/v3").Output()
	if err != nil {
		return "", fmt.Errorf("find Argo's module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "manifests", "base", "crds", "minimal"), nil
}
