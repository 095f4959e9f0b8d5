package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/argo"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

// controllerNamespace is where config/default puts this repository's controller.
const controllerNamespace = "workflowexecution-system"

// chooseSimulated is for the flag of up. Without it, the mode says it all.
func (s *settings) chooseSimulated(asked bool) error {
	if !asked {
		return nil
	}
	if s.mode == modeKind {
		return errors.New("--simulated and kind exclude each other: the nodes of kind run pods")
	}
	s.mode = modeSimulated
	return nil
}

// isSimulated asks the running cluster, which may be of another mode than this call.
func (s *settings) isSimulated() (bool, error) {
	if s.mode == modeKind {
		return false, nil
	}
	return local.IsSimulated(s.clusters(), s.name)
}

func (s *settings) upSimulated(ctx context.Context, options local.Options) error {
	if s.unasked {
		fmt.Fprintf(os.Stderr, "%v, because that needs root on Linux: the node is simulated (or use CLUSTER=kind with a container engine)\n", local.ErrUnsupported)
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
		Short: "Run this repository's controller as a process where pods do nothing, and do nothing where they run",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			simulated, err := shared.isSimulated()
			if err != nil || !simulated {
				return err
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
		Executable: local.Executable{File: binary, Version: "built here"},
		Namespace:  controllerNamespace,
		Deployment: "controller",
		// Its metrics are read through its pod, which there is not.
		Arguments: func(address string) []string {
			return []string{"--leader-elect-namespace=" + controllerNamespace, "--metrics-bind-address=0", "--health-probe-bind-address=" + address}
		},
		ReadyPath: "/readyz",
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the controller runs as a process, without metrics, because no pod would run it: status tells where its log is")
	return nil
}

func newRequirePodsCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "require-pods",
		Short: "Fail where pods do nothing, for tests that need real ones",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			simulated, err := shared.isSimulated()
			if err == nil && simulated {
				err = fmt.Errorf("this needs pods that run, and the nodes of cluster %s are simulated: use root on Linux, "+
					"CLUSTER=kind, or KUBECONFIG of another cluster", shared.name)
			}
			return err
		},
	}
}
