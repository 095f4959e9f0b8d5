package local

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Down removes the cluster and its kubeconfig. It succeeds if the cluster does not exist.
func Down(ctx context.Context, options Options) error {
	cluster := newLayout(options.Folder, options.Name)
	release, err := cluster.acquire(ctx, options.Progress)
	if err != nil {
		return err
	}
	defer release()
	if err := unpublishKubeconfig(cluster, options.Kubeconfig); err != nil {
		return err
	}
	if err := errors.Join(remove(cluster), os.RemoveAll(cluster.failedLogs())); err != nil {
		return fmt.Errorf("remove cluster %s: %w", options.Name, err)
	}
	if err := removeAbandoned(ctx, options.Folder, options.Progress); err != nil {
		return err
	}
	return os.Remove(cluster.lock())
}
