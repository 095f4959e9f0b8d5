package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// Up starts the cluster and calls install on it, unless a healthy cluster with the same name and fingerprint is running. It first removes
// any other cluster with the same name. After a failure it removes everything except the logs, after an interruption everything.
func Up(ctx context.Context, options Options, install Install) error {
	cluster := newLayout(options.Folder, options.Name)
	platform, err := newInfrastructure(cluster, options)
	if err != nil {
		return err
	}
	release, err := cluster.acquire(ctx, options.Progress)
	if err != nil {
		return err
	}
	defer release()
	if err := removeOthers(ctx, cluster, options); err != nil {
		return err
	}
	running, err := isRunning(ctx, cluster, options)
	if err != nil {
		return err
	}
	if running {
		fmt.Fprintf(options.Progress, "cluster %s is already running\n", options.Name)
		return publishKubeconfig(cluster, options.Kubeconfig)
	}
	if err := remove(cluster); err != nil {
		return fmt.Errorf("remove the previous cluster %s: %w", options.Name, err)
	}
	starter := &starter{
		cluster: cluster, infrastructure: platform, versions: options.Executables,
		record: &record{
			Checkout: options.Checkout, Fingerprint: options.Fingerprint, Simulated: options.Simulated, Nodes: names(platform.nodes()),
		},
	}
	if err := starter.bringUp(ctx, options, install); err != nil {
		return errors.Join(starter.explain(err), cleanUpFailed(ctx, cluster, options))
	}
	return nil
}

// removeOthers only warns about an abandoned cluster that cannot be removed.
func removeOthers(ctx context.Context, cluster layout, options Options) error {
	if err := removeAbandoned(ctx, options.Folder, options.Progress); err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(options.Progress, "warning: %v\n", err)
	}
	return os.RemoveAll(cluster.failedLogs())
}

// isRunning reports whether a complete and healthy cluster with the same fingerprint is running.
func isRunning(ctx context.Context, cluster layout, options Options) (bool, error) {
	recorded, err := readRecord(cluster.record())
	if err != nil {
		return false, err
	}
	report := func(reason string) {
		fmt.Fprintf(options.Progress, "cluster %s %s: replacing it\n", options.Name, reason)
	}
	switch {
	case len(recorded.Processes) == 0:
		return false, nil
	case !recorded.Ready:
		report("did not start completely")
		return false, nil
	case recorded.Fingerprint != options.Fingerprint:
		report("has other versions or settings")
		return false, nil
	}
	for _, known := range recorded.Processes {
		if !known.Added && !recorded.isRunning(known) {
			report("lacks " + known.Name + ", which ended")
			return false, nil
		}
	}
	if err := checkHealth(ctx, cluster, recorded.Nodes); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		report("is not healthy (" + err.Error() + ")")
		return false, nil
	}
	return true, nil
}

// checkHealth repeats failed checks for some time, because a busy machine may be slow.
func checkHealth(ctx context.Context, cluster layout, nodes []string) error {
	client, err := newClient(cluster.credentials("admin"))
	if err != nil {
		return err
	}
	const timeout = 15 * time.Second
	for deadline := time.Now().Add(timeout); ; {
		err := errors.Join(checkServer(client)(ctx), checkNodes(client, nodes)(ctx))
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// bringUp starts a new cluster.
func (s *starter) bringUp(ctx context.Context, options Options, install Install) error {
	started := time.Now()
	report := func(format string, arguments ...any) {
		fmt.Fprintf(options.Progress, "%5.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, arguments...))
	}
	if err := s.prepare(options); err != nil {
		return err
	}
	if err := s.infrastructure.setUp(s); err != nil {
		return err
	}
	report("network %s", s.record.Subnet)
	if err := makeCredentials(ctx, s.cluster, options.KubernetesVersion, s.endpoints, s.infrastructure.nodes()); err != nil {
		return err
	}
	report("certificates")
	if err := s.infrastructure.startRuntimes(s, options); err != nil {
		return err
	}
	if err := startServer(s, options); err != nil {
		return err
	}
	if err := s.startRemaining(ctx, options, report); err != nil {
		return err
	}
	if err := s.install(ctx, install, report); err != nil {
		return err
	}
	for _, program := range options.Programs {
		if err := s.startProgram(ctx, program); err != nil {
			return err
		}
	}
	s.record.Ready = true
	if err := s.record.write(s.cluster.record()); err != nil {
		return err
	}
	report("ready")
	return publishKubeconfig(s.cluster, options.Kubeconfig)
}

func (s *starter) prepare(options Options) error {
	if err := s.cluster.makeFolders(); err != nil {
		return err
	}
	boot, err := process.BootIdentifier()
	if err != nil {
		return err
	}
	s.record.Boot = boot
	// The record is written before anything else, so that an incomplete cluster of a removed checkout is recognized.
	if err := s.record.write(s.cluster.record()); err != nil {
		return err
	}
	return s.cluster.installExecutables(options.Executables)
}

// startRemaining imports images while the API server starts, and then starts the other components.
func (s *starter) startRemaining(ctx context.Context, options Options, report func(string, ...any)) error {
	if err := s.infrastructure.importImages(ctx, s, options.Images, report); err != nil {
		return err
	}
	super, err := newClient(s.cluster.credentials("super-admin"))
	if err != nil {
		return err
	}
	if err := s.waitUntil(ctx, "the API server is ready", checkServer(super)); err != nil {
		return err
	}
	if err := s.waitUntil(ctx, "the rights of the components are granted", grantRights(super)); err != nil {
		return err
	}
	report("API server ready")
	if err := startControllers(s); err != nil {
		return err
	}
	return s.infrastructure.startNodes(ctx, s)
}

// install calls install while the nodes become ready. A failure of either cancels the other.
func (s *starter) install(ctx context.Context, install Install, report func(string, ...any)) error {
	admin, err := newClient(s.cluster.credentials("admin"))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.waitUntil(ctx, "the nodes are ready", checkNodes(admin, s.record.Nodes)); err != nil {
			return err
		}
		report("nodes ready")
		return nil
	})
	group.Go(func() error {
		return install(ctx, Access{
			Kubeconfig: s.cluster.credentials("admin"), Kubectl: s.cluster.executable("kubectl"), Scratch: s.cluster.path("scratch"),
		})
	})
	return group.Wait()
}

// explain adds the log of a component that ended, which contains the reason.
func (s *starter) explain(err error) error {
	var ended *endedError
	if errors.As(err, &ended) {
		return fmt.Errorf("%w; the end of its log:\n%s", err, s.cluster.logTail(ended.component))
	}
	return err
}

// cleanUpFailed removes a cluster that failed to start. It keeps the logs, unless the start was interrupted.
func cleanUpFailed(ctx context.Context, cluster layout, options Options) error {
	if ctx.Err() == nil {
		if err := os.Rename(cluster.path("logs"), cluster.failedLogs()); err == nil {
			fmt.Fprintf(options.Progress, "the start failed; until the next start its logs are in %s\n", cluster.failedLogs())
		}
	}
	if err := remove(cluster); err != nil {
		return fmt.Errorf("remove the failed cluster: %w", err)
	}
	return nil
}
