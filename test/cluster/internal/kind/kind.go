// Package kind manages a kind cluster, on machines that have a container engine. It only calls commands of kind.
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

// Cluster is a kind cluster.
type Cluster struct {
	// Name is the name of the cluster.
	Name string
	// Kind is the path of the executable.
	Kind string
	// NodeImage is the name of a node image that was built here. If it is empty, kind pulls its own.
	NodeImage string
	// Environment contains the variables with which kind reaches the container engine.
	Environment []string
	// Kubeconfig is the file to which kind writes the credentials.
	Kubeconfig string
	// Progress receives the output of kind.
	Progress io.Writer
}

// ErrNoImage means that kind cannot pull its node image.
var ErrNoImage = errors.New("kind cannot pull its node image: where no image registry is reachable, " +
	"build one with: go run -C test/cluster . kind-node-image")

// Create creates the cluster, unless it exists.
func (c Cluster) Create(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.Kubeconfig), 0o755); err != nil {
		return fmt.Errorf("create the folder of the kubeconfig: %w", err)
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

// Delete deletes the cluster and its kubeconfig. It succeeds if the cluster does not exist.
func (c Cluster) Delete(ctx context.Context) error {
	if err := c.run(ctx, nil, "delete", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig); err != nil {
		return err
	}
	// kind does not delete the kubeconfig: it removes the cluster from it.
	if err := os.RemoveAll(c.Kubeconfig); err != nil {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	// This fails if the folder contains other files, as it should.
	_ = os.Remove(filepath.Dir(c.Kubeconfig))
	return nil
}

// Load loads image archives into the cluster.
func (c Cluster) Load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if err := c.run(ctx, nil, "load", "image-archive", archive, "--name", c.Name); err != nil {
			return err
		}
	}
	return nil
}

// IsRunning reports whether kind lists the cluster.
func (c Cluster) IsRunning(ctx context.Context) (bool, error) {
	command := exec.CommandContext(ctx, c.Kind, "get", "clusters")
	command.Env = c.Environment
	output, err := command.Output()
	if err != nil {
		return false, fmt.Errorf("list kind clusters: %w", err)
	}
	return slices.Contains(strings.Fields(string(output)), c.Name), nil
}

func (c Cluster) run(ctx context.Context, input io.Reader, arguments ...string) error {
	command := exec.CommandContext(ctx, c.Kind, arguments...)
	var printed bytes.Buffer
	output := io.MultiWriter(c.Progress, &printed)
	command.Stdin, command.Stdout, command.Stderr = input, output, output
	command.Env = c.Environment
	if err := command.Run(); err != nil {
		return explain(fmt.Errorf("kind %s: %w", strings.Join(arguments[:2], " "), err), printed.String())
	}
	return nil
}

// explain recognizes the failure that has a remedy here.
func explain(err error, printed string) error {
	if strings.Contains(printed, "failed to pull image") {
		return fmt.Errorf("%w (%w)", ErrNoImage, err)
	}
	return err
}
