package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/argo"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/checkout"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/engine"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/kind"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/nodeimage"
)

func newNodeImageCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "kind-node-image",
		Short: "Build a node image for kind, for machines without an image registry, and print its archive",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			archive, err := shared.makeNodeImage(command.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), archive)
			return nil
		},
	}
}

func newEngineUpCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "kind-engine-up",
		Short: "Start a private container engine for kind, unless an engine is running",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return shared.engine().Up(command.Context())
		},
	}
}

func newEngineDownCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "kind-engine-down",
		Short: "Stop the private container engine and its containers, and remove its state",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return shared.engine().Down(command.Context())
		},
	}
}

// newRuntimeCommand is for the private engine, which calls it outside of a checkout.
func newRuntimeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                engine.RuntimeCommand,
		Short:              "Replace runc on a machine that lacks capabilities",
		Hidden:             true,
		DisableFlagParsing: true,
		PersistentPreRunE:  func(*cobra.Command, []string) error { return nil },
		RunE: func(_ *cobra.Command, arguments []string) error {
			return engine.RunRuntime(arguments)
		},
	}
}

func (s *settings) engine() engine.Engine {
	return engine.Engine{Folder: filepath.Join(s.cache, "engine"), Progress: os.Stderr}
}

func (s *settings) nodeRecipe(ctx context.Context, find func(context.Context, []binaries.Program) (binaries.Set, error)) (nodeimage.Recipe, error) {
	programs, err := find(ctx, append(binaries.KindNode(), binaries.Kind))
	return nodeimage.Recipe{Folder: filepath.Join(s.cache, "kind"), Programs: programs}, err
}

func (s *settings) makeNodeImage(ctx context.Context) (archive string, err error) {
	if err := nodeimage.Requirements(); err != nil {
		return "", err
	}
	recipe, err := s.nodeRecipe(ctx, s.binaryCache().Ensure)
	if err != nil {
		return "", err
	}
	module, err := binaries.ModuleFolder(ctx, checkout.Pins(s.root), binaries.Kind.Module)
	if err != nil {
		return "", err
	}
	if err := recipe.Build(ctx, module, os.Stderr); err != nil {
		return "", err
	}
	return recipe.Archive()
}

// upKind uses the node image of this checkout if it was built with the current versions, and kind's own otherwise.
func (s *settings) upKind(ctx context.Context) error {
	cluster, private, err := s.kindCluster(ctx)
	if err != nil {
		return err
	}
	recipe, err := s.nodeRecipe(ctx, s.binaryCache().Locate)
	if err != nil {
		return err
	}
	ownNode, err := recipe.IsBuilt()
	if err != nil {
		return err
	}
	if ownNode {
		if cluster.NodeImage, err = loadNodeImage(ctx, cluster, recipe); err != nil {
			return err
		}
	}
	if err := cluster.Create(ctx); err != nil {
		return err
	}
	if version, err := argo.CheckController(ctx, s.kubeconfig); err == nil && version == s.argoVersion {
		return nil
	}
	// These nodes reach no image registry.
	if ownNode || private {
		if err := s.loadArgo(ctx, cluster); err != nil {
			return err
		}
	}
	return s.installArgo(ctx)
}

func loadNodeImage(ctx context.Context, cluster kind.Cluster, recipe nodeimage.Recipe) (name string, err error) {
	if name, err = recipe.Name(); err != nil {
		return "", err
	}
	archive, err := recipe.Archive()
	if err != nil {
		return "", err
	}
	return name, engine.LoadImage(ctx, cluster.Environment, name, archive)
}

func (s *settings) loadArgo(ctx context.Context, cluster kind.Cluster) error {
	built, err := s.binaryCache().Ensure(ctx, s.argoPrograms())
	if err != nil {
		return err
	}
	archives, err := packImages(s.argoImages(built))
	if err != nil {
		return err
	}
	return cluster.Load(ctx, archives)
}

func (s *settings) installArgo(ctx context.Context) error {
	built, err := s.binaryCache().Ensure(ctx, []binaries.Program{binaries.Kubectl})
	if err != nil {
		return err
	}
	installation, err := s.argoInstallation(ctx)
	if err != nil {
		return err
	}
	installation.Kubectl = built.Path(binaries.Kubectl)
	return installation.Install(ctx, s.kubeconfig)
}

func (s *settings) downKind(ctx context.Context) error {
	cluster, _, err := s.kindCluster(ctx)
	if err != nil {
		return err
	}
	return cluster.Delete(ctx)
}

// kindCluster describes the cluster, and reports whether the container engine is the private one. It fails if no engine answers.
func (s *settings) kindCluster(ctx context.Context) (cluster kind.Cluster, private bool, err error) {
	environment, private, err := s.engine().Environment(ctx)
	if err != nil {
		return kind.Cluster{}, false, err
	}
	built, err := s.binaryCache().Ensure(ctx, []binaries.Program{binaries.Kind})
	if err != nil {
		return kind.Cluster{}, false, err
	}
	return kind.Cluster{
		Name: s.name, Kind: built.Path(binaries.Kind), Environment: environment, Kubeconfig: s.kubeconfig, Progress: os.Stderr,
	}, private, nil
}
