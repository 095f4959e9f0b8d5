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

// Up makes sure that the cluster runs and that install has succeeded on it. It leaves a running, healthy cluster of the same fingerprint
// alone; anything else of the same name it removes first. After a failure nothing is left but the logs, after an interruption nothing.
func Up(ctx context.Context, options Options, install Install) error {
	cluster := newLayout(options.Folder, options.Name)
	machines, err := newMachines(cluster, options)
	if err != nil {
		return err
	}
	release, err := cluster.acquire(ctx, options.Progress)
	if err != nil {
		return err
	}
	defer release()
	if err := sweepOthers(ctx, cluster, options); err != nil {
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
		return fmt.Errorf("remove what is left of cluster %s: %w", options.Name, err)
	}
	starter := &starter{
		cluster: cluster, machines: machines, versions: options.Executables,
		record: &record{
			Checkout: options.Checkout, Fingerprint: options.Fingerprint, Simulated: options.Simulated, Nodes: names(machines.nodes()),
		},
	}
	if err := starter.bringUp(ctx, options, install); err != nil {
		return errors.Join(starter.explain(err), cleanUpFailed(ctx, cluster, options))
	}
	return nil
}

// sweepOthers does not hold up a cluster that can't be swept: its own sweep will say what is wrong.
func sweepOthers(ctx context.Context, cluster layout, options Options) error {
	if err := sweepAbandoned(ctx, options.Folder, options.Progress); err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(options.Progress, "warning: %v\n", err)
	}
	return os.RemoveAll(cluster.failedLogs())
}

// isRunning is true if all that Up would do has been done and works.
func isRunning(ctx context.Context, cluster layout, options Options) (bool, error) {
	recorded, err := readRecord(cluster.record())
	if err != nil {
		return false, err
	}
	say := func(why string) {
		fmt.Fprintf(options.Progress, "cluster %s %s: starting it anew\n", options.Name, why)
	}
	switch {
	case len(recorded.Processes) == 0:
		return false, nil
	case !recorded.Ready:
		say("was never completed")
		return false, nil
	case recorded.Fingerprint != options.Fingerprint:
		say("runs other versions or settings")
		return false, nil
	}
	for _, known := range recorded.Processes {
		if !known.Added && !recorded.isRunning(known) {
			say("has lost " + known.Name)
			return false, nil
		}
	}
	if err := checkSettled(ctx, cluster, recorded.Nodes); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		say("is not healthy (" + err.Error() + ")")
		return false, nil
	}
	return true, nil
}

// checkSettled gives a busy machine some time before it takes a cluster for ill.
func checkSettled(ctx context.Context, cluster layout, nodes []string) error {
	client, err := newClient(cluster.credentials("admin"))
	if err != nil {
		return err
	}
	const patience = 15 * time.Second
	for deadline := time.Now().Add(patience); ; {
		err := errors.Join(checkServer(client)(ctx), checkNodes(client, nodes)(ctx))
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// bringUp starts the cluster from nothing.
func (s *starter) bringUp(ctx context.Context, options Options, install Install) error {
	started := time.Now()
	say := func(format string, arguments ...any) {
		fmt.Fprintf(options.Progress, "%5.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, arguments...))
	}
	if err := s.prepare(options); err != nil {
		return err
	}
	if err := s.machines.setUp(s); err != nil {
		return err
	}
	say("network %s", s.record.Subnet)
	if err := makeCredentials(ctx, s.cluster, options.KubernetesVersion, s.place, s.machines.nodes()); err != nil {
		return err
	}
	say("certificates")
	if err := s.machines.startRuntimes(s, options); err != nil {
		return err
	}
	if err := startServer(s, options); err != nil {
		return err
	}
	if err := s.settle(ctx, options, say); err != nil {
		return err
	}
	if err := s.finish(ctx, install, say); err != nil {
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
	say("ready")
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
	// Recorded before anything is made, so that the sweep knows whose cluster this is.
	if err := s.record.write(s.cluster.record()); err != nil {
		return err
	}
	return s.cluster.placeExecutables(options.Executables)
}

// settle imports images while the API server starts, then starts the rest.
func (s *starter) settle(ctx context.Context, options Options, say func(string, ...any)) error {
	if err := s.machines.importImages(ctx, s, options.Images, say); err != nil {
		return err
	}
	super, err := newClient(s.cluster.credentials("super-admin"))
	if err != nil {
		return err
	}
	if err := s.waitUntil(ctx, "the API server is ready", checkServer(super)); err != nil {
		return err
	}
	if err := s.waitUntil(ctx, "rights are granted", grantRights(super)); err != nil {
		return err
	}
	say("API server ready")
	if err := startControllers(s); err != nil {
		return err
	}
	return s.machines.startNodes(ctx, s)
}

// finish installs while the nodes get ready. Whichever fails ends the other.
func (s *starter) finish(ctx context.Context, install Install, say func(string, ...any)) error {
	admin, err := newClient(s.cluster.credentials("admin"))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.waitUntil(ctx, "the nodes are ready", checkNodes(admin, s.record.Nodes)); err != nil {
			return err
		}
		say("nodes ready")
		return nil
	})
	group.Go(func() error {
		return install(ctx, Access{
			Kubeconfig: s.cluster.credentials("admin"), Kubectl: s.cluster.executable("kubectl"), Scratch: s.cluster.path("scratch"),
		})
	})
	return group.Wait()
}

// explain adds the log of the component that ended, because that is where the reason is.
func (s *starter) explain(err error) error {
	var ended *endedError
	if errors.As(err, &ended) {
		return fmt.Errorf("%w; its log ends with:\n%s", err, s.cluster.logTail(ended.component))
	}
	return err
}

// cleanUpFailed keeps the logs of a failed start, unless it was interrupted, and removes the rest.
func cleanUpFailed(ctx context.Context, cluster layout, options Options) error {
	if ctx.Err() == nil {
		if err := os.Rename(cluster.path("logs"), cluster.failedLogs()); err == nil {
			fmt.Fprintf(options.Progress, "the start failed; its logs are in %s until the next command\n", cluster.failedLogs())
		}
	}
	if err := remove(cluster); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
