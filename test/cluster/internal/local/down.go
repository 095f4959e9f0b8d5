package local

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
)

// Down removes the cluster and its kubeconfig. It succeeds where there is nothing to remove.
func Down(ctx context.Context, options Options) error {
	cluster := newLayout(options.Folder, options.Name)
	release, err := filelock.Acquire(ctx, cluster.lock(), func() {
		fmt.Fprintf(options.Progress, "waiting for another command that works on cluster %s …\n", options.Name)
	})
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
	if err := sweepAbandoned(ctx, options.Folder, options.Progress); err != nil {
		return err
	}
	return os.Remove(cluster.lock())
}
