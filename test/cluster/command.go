package main

import (
	"errors"
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

// argoLines maps the versions of Argo Workflows that can be chosen to their module lines. The first is the default.
var argoLines = []struct{ version, line string }{
	{"v3.7.18", "v3"},
	{"v4.0.5", "v4"},
}

// The modes: a local cluster, one whose node runs nothing, kind, and a cluster that this program did not start.
const (
	modeLocal     = "local"
	modeSimulated = "simulated"
	modeKind      = "kind"
	modeExisting  = "existing"
)

// settings are the resolved values of the flags that all commands share.
type settings struct {
	root        string
	mode        string
	fellBack    bool // the mode is simulated because this machine cannot run pods
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
		"local, simulated or kind; also the variable CLUSTER; without root or not on Linux, local means simulated")
	flags.StringVar(&shared.name, "name", os.Getenv("CLUSTER_NAME"), "name of the cluster (default: derived from the checkout's path)")
	flags.StringVar(&shared.kubeconfig, "kubeconfig", "", "use the existing cluster of this kubeconfig; the variable KUBECONFIG is ignored")
	flags.StringVar(&shared.argoVersion, "argo-version", environment("ARGO_VERSION", argoLines[0].version),
		"version of Argo Workflows: "+strings.Join(argoVersions(), " or "))
	root.AddCommand(
		newUpCommand(shared), newDownCommand(shared), newStatusCommand(shared), newLoadCommand(shared), newRunControllerCommand(shared),
		newExecCommand(shared), newEndToEndCommand(shared), newEnvtestCommand(shared),
		newBinariesCommand(shared), newEnvtestAssetsCommand(shared), newKubectlCommand(shared), newProgramCommand(shared), newImageCommand(shared),
		newServerImagesCommand(shared), newNodeImageCommand(shared), newEngineUpCommand(shared), newEngineDownCommand(shared), newRuntimeCommand(),
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

// resolve fills in the values that were not given, and rejects those that cannot work.
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
	requested := s.mode
	if s.mode, err = chooseMode(requested, s.kubeconfig, runtime.GOOS, os.Geteuid()); err != nil {
		return err
	}
	s.fellBack = requested == modeLocal && s.mode == modeSimulated
	if s.kubeconfig == "" {
		s.kubeconfig = ownKubeconfig(s.mode)
	}
	s.kubeconfig = s.path(s.kubeconfig)
	if s.name == "" {
		s.name = checkout.ClusterName(namePrefix(s.mode), s.root)
	}
	if err := checkout.ValidateName(s.name); err != nil {
		return err
	}
	if !slices.Contains(argoVersions(), s.argoVersion) {
		return fmt.Errorf("version %q of Argo Workflows is not pinned: use %s", s.argoVersion, strings.Join(argoVersions(), " or "))
	}
	return nil
}

// chooseMode replaces a local cluster by a simulated one where no pods can run. A given kubeconfig selects the cluster by itself.
func chooseMode(requested, kubeconfig, system string, user int) (string, error) {
	switch requested {
	case modeLocal, modeSimulated, modeKind:
	default:
		return "", fmt.Errorf("cluster mode %q is unknown: use local, simulated or kind", requested)
	}
	switch {
	case kubeconfig != "" && requested == modeLocal:
		return modeExisting, nil
	case kubeconfig != "":
		return "", fmt.Errorf("the mode %s and the cluster of %s exclude each other: use one of them", requested, kubeconfig)
	case requested == modeLocal && (system != "linux" || user != 0):
		return modeSimulated, nil
	}
	return requested, nil
}

// ownKubeconfig is a file for each mode, because a checkout may have a cluster of each at the same time.
func ownKubeconfig(mode string) string {
	file := "kubeconfig"
	if mode != modeLocal {
		file = mode + "-kubeconfig"
	}
	return filepath.Join(".cluster", file)
}

// namePrefix keeps the folder of a simulated cluster apart from that of a local one. kind has no folder.
func namePrefix(mode string) string {
	if mode == modeSimulated {
		return "sim"
	}
	return "wfe"
}

// requireOwn is an error for clusters that this program did not start.
func (s *settings) requireOwn() error {
	if s.mode == modeExisting {
		return errors.New("this command works only on clusters that test/cluster started: run it without --kubeconfig, or make without KUBECONFIG")
	}
	return nil
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

// argoController is the only program of Argo that a simulated cluster needs: nothing runs its executor there.
func (s *settings) argoController() binaries.Program { return s.argoPrograms()[0] }

// argoLine is the module line of the chosen version.
func (s *settings) argoLine() string {
	for _, known := range argoLines {
		if known.version == s.argoVersion {
			return known.line
		}
	}
	return ""
}
