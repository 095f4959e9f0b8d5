package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// publishKubeconfig writes the administrator's credentials where users and tests look for them.
func publishKubeconfig(cluster layout, file string) error {
	content, err := os.ReadFile(cluster.credentials("admin"))
	if err != nil {
		return fmt.Errorf("publish the kubeconfig: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("publish the kubeconfig: %w", err)
	}
	return writeFile(file, content)
}

// unpublishKubeconfig removes the kubeconfig only if it is this cluster's.
func unpublishKubeconfig(cluster layout, file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	if !strings.Contains(string(content), "kubernetes-admin@"+cluster.name+"\n") {
		return nil
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	// The folder goes with its last file; it is no failure if it holds others.
	_ = os.Remove(filepath.Dir(file))
	return nil
}
