package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
)

func newBinariesCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "binaries",
		Short: "Build the programs of the cluster that the cache lacks, and print their paths",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			programs := append(binaries.ControlPlane(), shared.argoPrograms()...)
			switch shared.mode {
			case modeKind:
				programs = []binaries.Program{binaries.Kind, binaries.Kubectl}
			case modeSimulated:
				programs = append(binaries.SimulatedPlane(), shared.argoController())
			}
			set, err := shared.binaryCache().Ensure(command.Context(), programs)
			if err != nil {
				return err
			}
			for _, program := range programs {
				fmt.Fprintln(command.OutOrStdout(), set.Path(program))
			}
			return nil
		},
	}
}

func newEnvtestAssetsCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "envtest-assets",
		Short: "Build the programs that envtest starts, and print their folder, for KUBEBUILDER_ASSETS",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			folder, err := shared.binaryCache().EnvtestFolder(command.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), folder)
			return nil
		},
	}
}

func newKubectlCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl-path",
		Short: "Build kubectl if it is missing, and print its path",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			set, err := shared.binaryCache().Ensure(command.Context(), []binaries.Program{binaries.Kubectl})
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), set.Path(binaries.Kubectl))
			return nil
		},
	}
}

func newProgramCommand(shared *settings) *cobra.Command {
	known := map[string]binaries.Program{binaries.Kwok.Name: binaries.Kwok}
	for _, program := range shared.argoPrograms() {
		known[program.Name] = program
	}
	return &cobra.Command{
		Use:       "program-path NAME",
		Short:     "Build a program if it is missing, and print its path: " + strings.Join(slices.Sorted(maps.Keys(known)), ", "),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: slices.Sorted(maps.Keys(known)),
		RunE: func(command *cobra.Command, arguments []string) error {
			program := known[arguments[0]]
			set, err := shared.binaryCache().Ensure(command.Context(), []binaries.Program{program})
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), set.Path(program))
			return nil
		},
	}
}

func newImageCommand(shared *settings) *cobra.Command {
	var request images.Request
	var output, layout string
	command := &cobra.Command{
		Use:   "image --binary PATH --name REPOSITORY:TAG --output FILE.tar [--layout FOLDER]",
		Short: "Pack one static binary as an image, without a container engine",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			request.Binary = shared.path(request.Binary)
			if layout != "" {
				digest, err := images.WriteLayout(request, shared.path(layout))
				if err != nil {
					return err
				}
				fmt.Fprintln(command.OutOrStdout(), digest, request.Name)
			}
			return images.WriteArchive(request, shared.path(output))
		},
	}
	flags := command.Flags()
	flags.StringVar(&request.Binary, "binary", "", "static executable")
	flags.StringVar(&request.Name, "name", "", "name of the image, with its tag")
	flags.StringVar(&output, "output", "", "archive to write, as docker save would")
	flags.StringVar(&layout, "layout", "", "folder to write as an OCI image layout too, for registries; its digest is printed")
	flags.StringVar(&request.Entrypoint, "entrypoint", "", "name of the executable in the image (default: the binary's)")
	flags.StringVar(&request.User, "user", "65532", "numeric user")
	for _, required := range []string{"binary", "name", "output"} {
		if err := command.MarkFlagRequired(required); err != nil {
			panic(err)
		}
	}
	return command
}
