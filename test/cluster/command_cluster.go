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
	var simulated bool
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster with Argo Workflows, or do nothing if it runs already",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := shared.chooseSimulated(simulated); err != nil {
				return err
			}
			if err := shared.up(command.Context(), options); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "use it with: export KUBECONFIG=%s\n", shared.kubeconfig)
			return nil
		},
	}
	command.Flags().BoolVar(&options.Fsync, "fsync", false, "let etcd wait for the disk (for measurements of writes)")
	command.Flags().StringVar(&options.AuditPolicy, "audit-policy", "", "audit policy file; the API server then writes an audit log")
	command.Flags().BoolVar(&simulated, "simulated", false, "let pods do nothing, which needs no rights; the same as --mode=simulated")
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

// upLocal starts a cluster of processes of this machine, with Argo.
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
		Short: "Remove the cluster and all that belongs to it",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
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
		Short: "Show the cluster's components, and fail if one of them is not healthy",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
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
		return fmt.Errorf("cluster %s does not run", shared.name)
	}
	mode := shared.mode
	if simulated, err := shared.isSimulated(); err == nil && simulated {
		mode = modeSimulated
	}
	fmt.Fprintf(os.Stdout, "cluster %s (%s), kubeconfig %s\n", shared.name, mode, shared.kubeconfig)
	writer := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(writer, "COMPONENT\tPID\tVERSION\tHEALTHY\tDETAIL")
	ill := 0
	for _, component := range table {
		pid := "-"
		if component.PID != 0 {
			pid = fmt.Sprint(component.PID)
		}
		if !component.Healthy {
			ill++
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\t%t\t%s\n", component.Name, pid, component.Version, component.Healthy, component.Detail)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	if ill > 0 {
		return fmt.Errorf("%d of %d components are not healthy", ill, len(table))
	}
	return nil
}

func newLoadCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE.tar…",
		Short: "Load archives of images into the running cluster",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, files []string) error {
			for i := range files {
				files[i] = shared.path(files[i])
			}
			if shared.mode == modeKind {
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
			if simulated, _ := shared.isSimulated(); err == nil && simulated {
				fmt.Fprintln(os.Stderr, "there is nothing to load: pods do nothing on this cluster")
			}
			return err
		},
	}
}
