//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sync/errgroup"
)

const (
	runtimeTimeout  = 30 * time.Second
	runtimeInterval = 50 * time.Millisecond
	// kubernetesNamespace is the namespace of Kubernetes in the container runtime.
	kubernetesNamespace = "k8s.io"
)

// importEverywhere imports image archives into the container runtimes of all nodes, and returns the names of the images.
func importEverywhere(ctx context.Context, recorded record, archives []string) (names []string, err error) {
	group, ctx := errgroup.WithContext(ctx)
	for i, n := range nodes {
		runtime, err := recorded.find(n.component("containerd"))
		if err != nil {
			return nil, err
		}
		group.Go(func() error {
			imported, err := importImages(ctx, runtime, archives)
			if i == 0 {
				names = imported
			}
			return err
		})
	}
	err = group.Wait()
	return names, err
}

// importImages connects to the container runtime by the path of its socket in its mount namespace.
func importImages(ctx context.Context, runtime recordedProcess, archives []string) (names []string, err error) {
	socket := fmt.Sprintf("/proc/%d/root%s", runtime.PID, containerdSocket)
	if err := waitForFile(ctx, socket); err != nil {
		return nil, fmt.Errorf("connect to containerd: %w", err)
	}
	client, err := containerd.New(socket, containerd.WithDefaultNamespace(kubernetesNamespace))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx = namespaces.WithNamespace(ctx, kubernetesNamespace)
	for _, archive := range archives {
		imported, err := importImage(ctx, client, archive)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", archive, err)
		}
		names = append(names, imported...)
	}
	return names, nil
}

func importImage(ctx context.Context, client *containerd.Client, archive string) ([]string, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	imported, err := client.Import(ctx, file)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, image := range imported {
		if err := containerd.NewImage(client, image).Unpack(ctx, ""); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", image.Name, err)
		}
		names = append(names, image.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("the archive contains no named image")
	}
	return names, nil
}

func waitForFile(ctx context.Context, file string) error {
	for deadline := time.Now().Add(runtimeTimeout); ; {
		_, err := os.Stat(file)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, runtimeInterval); err != nil {
			return err
		}
	}
}
