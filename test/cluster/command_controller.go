package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/argo"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

// controllerNamespace is where config/default puts this repository's controller.
const controllerNamespace = "workflowexecution-system"

func (s *settings) upSimulated(ctx context.Context, options local.Options) error {
	if s.fellBack {
		fmt.Fprintln(os.Stderr, "pods need root on Linux, so the node of this cluster is simulated; with a container engine, CLUSTER=kind runs pods")
	}
	controller := s.argoController()
	built, err := s.binaryCache().Ensure(ctx, append(binaries.SimulatedPlane(), controller))
	if err != nil {
		return err
	}
	options.Simulated = true
	options.Executables = executables(built, binaries.SimulatedPlane())
	options.Programs = []local.Program{{
		Name:       controller.Name,
		Executable: local.Executable{File: built.Path(controller), Version: s.argoVersion},
		Namespace:  argo.Namespace,
		Deployment: "workflow-controller",
		Arguments:  func(string) []string { return nil },
	}}
	if err := s.upLocal(ctx, options, built); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, local.Simulated)
	return nil
}

func newRunControllerCommand(shared *settings) *cobra.Command {
	var binary string
	command := &cobra.Command{
		Use:   "run-controller --binary PATH",
		Short: "Run this repository's controller as a process of a simulated cluster; does nothing on other clusters",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if shared.mode != modeSimulated {
				return nil
			}
			return shared.runController(command.Context(), shared.path(binary))
		},
	}
	command.Flags().StringVar(&binary, "binary", "", "the controller's executable")
	if err := command.MarkFlagRequired("binary"); err != nil {
		panic(err)
	}
	return command
}

func (s *settings) runController(ctx context.Context, binary string) error {
	options := local.Options{Name: s.name, Folder: s.clusters(), Progress: os.Stderr}
	err := local.Run(ctx, options, local.Program{
		Name:       "manager",
		Executable: local.Executable{File: binary, Version: "built from this checkout"},
		Namespace:  controllerNamespace,
		Deployment: "controller",
		// Metrics are read through the controller's pod, and this controller has none.
		Arguments: func(address string) []string {
			return []string{"--leader-elect-namespace=" + controllerNamespace, "--metrics-bind-address=0", "--health-probe-bind-address=" + address}
		},
		ReadyPath: "/readyz",
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the controller runs as a process, without metrics; cluster-status shows where its log is")
	return nil
}
