// Package kind runs the cluster by kind, on machines that have a container engine. It only calls kind's own commands.
package kind

import (
	"bytes"
	"context"
	"errors"
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
	// NodeImage is the image of nodes that was made here; kind's own, which it pulls, if empty.
	NodeImage string
	// Environment leads kind to the container engine.
	Environment []string
	// Kubeconfig is the file that the credentials are written to.
	Kubeconfig string
	// Progress receives what kind says.
	Progress io.Writer
}

// ErrNoImage says that kind's own image of nodes can't be pulled.
var ErrNoImage = errors.New("the image of kind's nodes can't be pulled: where no image registry is reachable, run make kind-node-image first")

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
		return c.run(ctx, nil, "export", "kubeconfig", "--name", c.Name, "--kubeconfig", c.Kubeconfig)
	}
	content, err := config(c.NodeImage != "")
	if err != nil {
		return err
	}
	arguments := []string{"create", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig, "--wait", "3m", "--config", "-"}
	if c.NodeImage != "" {
		arguments = append(arguments, "--image", c.NodeImage)
	}
	return c.run(ctx, bytes.NewReader(content), arguments...)
}

// Delete deletes the cluster and its kubeconfig, or does nothing if there is none.
func (c Cluster) Delete(ctx context.Context) error {
	if err := c.run(ctx, nil, "delete", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig); err != nil {
		return err
	}
	// kind leaves a kubeconfig without clusters behind.
	if err := os.RemoveAll(c.Kubeconfig); err != nil {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	// The folder goes with its last file; it is no failure if it holds others.
	_ = os.Remove(filepath.Dir(c.Kubeconfig))
	return nil
}

// Load loads archives of images into the cluster.
func (c Cluster) Load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if err := c.run(ctx, nil, "load", "image-archive", archive, "--name", c.Name); err != nil {
			return err
		}
	}
	return nil
}

// IsRunning asks kind for its clusters.
func (c Cluster) IsRunning(ctx context.Context) (bool, error) {
	command := exec.CommandContext(ctx, c.Kind, "get", "clusters")
	command.Env = c.Environment
	output, err := command.Output()
	if err != nil {
		return false, fmt.Errorf("list clusters of kind: %w", err)
	}
	return slices.Contains(strings.Fields(string(output)), c.Name), nil
}

func (c Cluster) run(ctx context.Context, input io.Reader, arguments ...string) error {
	command := exec.CommandContext(ctx, c.Kind, arguments...)
	var said bytes.Buffer
	both := io.MultiWriter(c.Progress, &said)
	command.Stdin, command.Stdout, command.Stderr = input, both, both
	command.Env = c.Environment
	if err := command.Run(); err != nil {
		return explain(fmt.Errorf("kind %s: %w", strings.Join(arguments[:2], " "), err), said.String())
	}
	return nil
}

// explain tells the failure that has a remedy here from the others.
func explain(err error, said string) error {
	if strings.Contains(said, "failed to pull image") {
		return fmt.Errorf("%w (%w)", ErrNoImage, err)
	}
	return err
}
