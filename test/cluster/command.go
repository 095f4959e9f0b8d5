package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/checkout"
)

// argoLines maps the versions of Argo Workflows that can be chosen to their module lines; the first is the default.
var argoLines = []struct{ version, line string }{
	{"v3.7.18", "v3"},
	{"v4.0.5", "v4"},
}

// The modes: a local cluster, one whose node runs nothing, and kind.
const (
	modeLocal     = "local"
	modeSimulated = "simulated"
	modeKind      = "kind"
)

// settings are the values of the flags that all commands share, once they are resolved.
type settings struct {
	root        string
	mode        string
	unasked     bool // the mode is not the one that was asked for
	name        string
	kubeconfig  string
	argoVersion string
	cache       string
}

func newRootCommand() *cobra.Command {
	shared := &settings{}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "A local Kubernetes cluster with Argo Workflows, built from Go modules",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return shared.resolve()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&shared.root, "root", "", "root of the repository (default: found from the working folder upwards)")
	flags.StringVar(&shared.mode, "mode", environment("CLUSTER", modeLocal),
		"local, simulated or kind; also the variable CLUSTER; without root or not on Linux, local is simulated")
	flags.StringVar(&shared.name, "name", os.Getenv("CLUSTER_NAME"), "name of the cluster (default: derived from the checkout's path)")
	flags.StringVar(&shared.kubeconfig, "kubeconfig", "", "file to write the kubeconfig to (default: .cluster/kubeconfig, or .cluster/kind-kubeconfig)")
	flags.StringVar(&shared.argoVersion, "argo-version", environment("ARGO_VERSION", argoLines[0].version),
		"version of Argo Workflows: "+strings.Join(argoVersions(), " or "))
	root.AddCommand(
		newUpCommand(shared), newDownCommand(shared), newStatusCommand(shared), newLoadCommand(shared),
		newBinariesCommand(shared), newEnvtestCommand(shared), newKubectlCommand(shared), newProgramCommand(shared), newImageCommand(shared),
		newServerImagesCommand(shared), newRunControllerCommand(shared), newRequirePodsCommand(shared),
		newNodeImageCommand(shared), newEngineUpCommand(shared), newEngineDownCommand(shared), newRuntimeCommand(),
	)
	return root
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func argoVersions() []string {
	var versions []string
	for _, known := range argoLines {
		versions = append(versions, known.version)
	}
	return versions
}

// resolve fills in what was not given, and refuses what can't work.
func (s *settings) resolve() error {
	var err error
	start := s.root
	if start == "" {
		start = "."
	}
	if s.root, err = checkout.FindRoot(start); err != nil {
		return err
	}
	if s.cache, err = checkout.CacheFolder(); err != nil {
		return err
	}
	if s.name == "" {
		s.name = checkout.ClusterName(s.root)
	}
	if err := checkout.ValidateName(s.name); err != nil {
		return err
	}
	if s.kubeconfig == "" {
		s.kubeconfig = defaultKubeconfig(s.mode)
	}
	s.kubeconfig = s.path(s.kubeconfig)
	asked := s.mode
	if s.mode, err = chooseMode(asked, runtime.GOOS, os.Geteuid()); err != nil {
		return err
	}
	s.unasked = s.mode != asked
	if !slices.Contains(argoVersions(), s.argoVersion) {
		return fmt.Errorf("version %q of Argo Workflows is not pinned: use %s", s.argoVersion, strings.Join(argoVersions(), " or "))
	}
	return nil
}

// chooseMode lets a local cluster be simulated where no pods can run.
func chooseMode(asked, system string, user int) (string, error) {
	switch asked {
	case modeLocal:
		if system != "linux" || user != 0 {
			return modeSimulated, nil
		}
		return modeLocal, nil
	case modeSimulated, modeKind:
		return asked, nil
	}
	return "", fmt.Errorf("cluster mode %q: use local, simulated or kind", asked)
}

// defaultKubeconfig keeps kind apart, because a checkout may have a cluster of kind and a local one at once.
func defaultKubeconfig(mode string) string {
	file := "kubeconfig"
	if mode == modeKind {
		file = "kind-kubeconfig"
	}
	return filepath.Join(".cluster", file)
}

// path resolves a relative path against the repository's root, because "go run -C" changes the working folder.
func (s *settings) path(given string) string {
	if filepath.IsAbs(given) {
		return given
	}
	return filepath.Join(s.root, given)
}

// binaryCache prints progress on stderr: stdout is for results that scripts read.
func (s *settings) binaryCache() *binaries.Cache {
	return &binaries.Cache{Folder: s.cache, Pins: checkout.Pins(s.root), Progress: os.Stderr}
}

func (s *settings) argoPrograms() []binaries.Program {
	return binaries.Argo(s.argoLine())
}

// argoController runs as a process where pods do nothing, and needs no executor there.
func (s *settings) argoController() binaries.Program { return s.argoPrograms()[0] }

// argoLine is the module line of the version that was chosen, which is one of those.
func (s *settings) argoLine() string {
	for _, known := range argoLines {
		if known.version == s.argoVersion {
			return known.line
		}
	}
	return ""
}
