package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

func newUpCommand(shared *settings) *cobra.Command {
	var options local.Options
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster with Argo Workflows, unless it is running",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if shared.mode == modeExisting {
				fmt.Fprintf(os.Stderr, "using the existing cluster of %s\n", shared.kubeconfig)
				return nil
			}
			if err := shared.up(command.Context(), options); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "to use the cluster: export KUBECONFIG=%s\n", shared.kubeconfig)
			return nil
		},
	}
	command.Flags().BoolVar(&options.Fsync, "fsync", false, "make etcd wait for the disk, as measurements of writes need")
	command.Flags().StringVar(&options.AuditPolicy, "audit-policy", "", "file with an audit policy, with which the API server writes an audit log")
	return command
}

func (s *settings) up(ctx context.Context, options local.Options) error {
	if options.AuditPolicy != "" {
		options.AuditPolicy = s.path(options.AuditPolicy)
	}
	switch s.mode {
	case modeKind:
		return s.upKind(ctx)
	case modeSimulated:
		return s.upSimulated(ctx, options)
	}
	if err := local.EnsureRequirements(ctx, os.Stderr); err != nil {
		return err
	}
	built, err := s.binaryCache().Ensure(ctx, append(binaries.ControlPlane(), s.argoPrograms()...))
	if err != nil {
		return err
	}
	options.PauseImage = pauseImage
	options.Images, err = packImages(append(s.argoImages(built), images.Request{
		Binary: built.Path(binaries.Pause), Name: pauseImage, Entrypoint: "pause", User: "65535",
	}))
	if err != nil {
		return err
	}
	options.Executables = executables(built, binaries.ControlPlane())
	return s.upLocal(ctx, options, built)
}

// upLocal starts a cluster whose components are processes of this machine, and installs Argo on it.
func (s *settings) upLocal(ctx context.Context, options local.Options, built binaries.Set) error {
	installation, err := s.argoInstallation(ctx)
	if err != nil {
		return err
	}
	installation.AsProcess = options.Simulated
	options.Name, options.Folder, options.Checkout, options.Kubeconfig = s.name, s.clusters(), s.root, s.kubeconfig
	options.KubernetesVersion = built[binaries.KubeAPIServer.Name].Version
	options.Fingerprint = fingerprint(built, options)
	options.Progress = os.Stderr
	return local.Up(ctx, options, func(ctx context.Context, access local.Access) error {
		installation.Kubectl, installation.Scratch = access.Kubectl, access.Scratch
		return installation.Install(ctx, access.Kubeconfig)
	})
}

func newDownCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the cluster and everything that was created for it",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := shared.requireOwn(); err != nil {
				return err
			}
			if shared.mode == modeKind {
				return shared.downKind(command.Context())
			}
			return local.Down(command.Context(), local.Options{
				Name: shared.name, Folder: shared.clusters(), Kubeconfig: shared.kubeconfig, Progress: os.Stderr,
			})
		},
	}
}

func newStatusCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the components of the cluster, and fail unless all of them are healthy",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := shared.requireOwn(); err != nil {
				return err
			}
			table, err := shared.status(command.Context())
			if err != nil {
				return err
			}
			return printStatus(shared, table)
		},
	}
}

func printStatus(shared *settings, table []local.Component) error {
	if len(table) == 0 {
		return fmt.Errorf("cluster %s (%s) is not running", shared.name, shared.mode)
	}
	fmt.Fprintf(os.Stdout, "cluster %s (%s), kubeconfig %s\n", shared.name, shared.mode, shared.kubeconfig)
	writer := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(writer, "COMPONENT\tPID\tVERSION\tHEALTHY\tDETAIL")
	unhealthy := 0
	for _, component := range table {
		pid := "-"
		if component.PID != 0 {
			pid = fmt.Sprint(component.PID)
		}
		if !component.Healthy {
			unhealthy++
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\t%t\t%s\n", component.Name, pid, component.Version, component.Healthy, component.Detail)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	if unhealthy > 0 {
		return fmt.Errorf("%d of %d components are not healthy", unhealthy, len(table))
	}
	return nil
}

func newLoadCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE.tar…",
		Short: "Load image archives into the running cluster",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, files []string) error {
			for i := range files {
				files[i] = shared.path(files[i])
			}
			switch shared.mode {
			case modeExisting:
				fmt.Fprintln(os.Stderr, "no images are loaded: an existing cluster pulls them from its registry")
				return nil
			case modeSimulated:
				fmt.Fprintln(os.Stderr, "no images are loaded: pods do nothing on a simulated cluster")
				return nil
			case modeKind:
				cluster, _, err := shared.kindCluster(command.Context())
				if err != nil {
					return err
				}
				return cluster.Load(command.Context(), files)
			}
			names, err := local.Load(command.Context(), shared.clusters(), shared.name, files)
			for _, name := range names {
				fmt.Fprintf(os.Stderr, "loaded %s\n", name)
			}
			return err
		},
	}
}
