// Package kind runs the cluster by stock kind, on machines that have a container engine and reach an image registry. It only calls
// kind's own commands.
package kind

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Cluster is a cluster of kind.
type Cluster struct {
	// Name is kind's name for it.
	Name string
	// Kind is the executable.
	Kind string
	// Kubeconfig is the file that the credentials are written to.
	Kubeconfig string
	// Progress receives what kind says.
	Progress io.Writer
}

// Create creates the cluster, or does nothing if it exists.
func (c Cluster) Create(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.Kubeconfig), 0o755); err != nil {
		return fmt.Errorf("make the kubeconfig's folder: %w", err)
	}
	running, err := c.IsRunning(ctx)
	if err != nil {
		return err
	}
	if running {
		return c.run(ctx, "export", "kubeconfig", "--name", c.Name, "--kubeconfig", c.Kubeconfig)
	}
	return c.run(ctx, "create", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig, "--wait", "3m")
}

// Delete deletes the cluster, or does nothing if there is none.
func (c Cluster) Delete(ctx context.Context) error {
	return c.run(ctx, "delete", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig)
}

// Load loads archives of images into the cluster.
func (c Cluster) Load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if err := c.run(ctx, "load", "image-archive", archive, "--name", c.Name); err != nil {
			return err
		}
	}
	return nil
}

// IsRunning asks kind for its clusters.
func (c Cluster) IsRunning(ctx context.Context) (bool, error) {
	output, err := exec.CommandContext(ctx, c.Kind, "get", "clusters").Output()
	if err != nil {
		return false, fmt.Errorf("list clusters of kind (does a container engine run?): %w", err)
	}
	return slices.Contains(strings.Fields(string(output)), c.Name), nil
}

func (c Cluster) run(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, c.Kind, arguments...)
	command.Stdout, command.Stderr = c.Progress, c.Progress
	if err := command.Run(); err != nil {
		return fmt.Errorf("kind %s: %w", strings.Join(arguments[:2], " "), err)
	}
	return nil
}
