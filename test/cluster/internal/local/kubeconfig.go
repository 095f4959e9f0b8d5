package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// publishKubeconfig writes the credentials of the administrator to the file of users and tests.
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

// unpublishKubeconfig removes the kubeconfig, unless it belongs to another cluster.
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
	// This fails if the folder contains other files, as it should.
	_ = os.Remove(filepath.Dir(file))
	return nil
}
