package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

func newExecCommand(shared *settings) *cobra.Command {
	var realPods bool
	command := &cobra.Command{
		Use:   "exec [--real-pods] -- COMMAND [ARGUMENT…]",
		Short: "Run a command in the repository's root, with KUBECONFIG and KUBECTL of the cluster and bin on the PATH",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if realPods {
				if err := shared.requireRealPods(command.Context()); err != nil {
					return err
				}
			}
			return shared.exec(command.Context(), arguments)
		},
	}
	command.Flags().BoolVar(&realPods, "real-pods", false, "fail if the nodes of the cluster are simulated")
	return command
}

func newEndToEndCommand(shared *settings) *cobra.Command {
	var labels string
	var processes int
	command := &cobra.Command{
		Use:   "e2e [-- FLAG…]",
		Short: "Run the end-to-end suite by ginkgo, with those specs that apply to the cluster",
		RunE: func(command *cobra.Command, flags []string) error {
			if err := shared.requireRealPods(command.Context()); err != nil {
				return err
			}
			return shared.exec(command.Context(), ginkgo(shared.applicable(labels), processes, flags))
		},
	}
	command.Flags().StringVar(&labels, "labels", "!whole", "label filter of ginkgo")
	command.Flags().IntVar(&processes, "processes", 3, "number of specs that run at the same time; they mostly wait for pods")
	return command
}

func ginkgo(labels string, processes int, flags []string) []string {
	arguments := []string{
		"go", "run", "github.com/onsi/ginkgo/v2/ginkgo", "--procs=" + strconv.Itoa(processes), "--timeout=40m", "--label-filter=" + labels,
	}
	return append(append(arguments, flags...), "./test/e2e")
}

// applicable narrows a label filter to the specs that apply to the cluster.
func (s *settings) applicable(labels string) string {
	filter := "(" + labels + ")"
	if s.argoLine() != "v3" {
		filter += " && !argo-3"
	}
	if s.mode == modeKind { // its cluster has one node
		filter += " && !two-nodes"
	}
	if s.mode != modeLocal { // the processes of other clusters may be on other machines
		filter += " && !same-host"
	}
	return filter
}

func newEnvtestCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "envtest -- COMMAND [ARGUMENT…]",
		Short: "Run a command in the repository's root, with KUBEBUILDER_ASSETS for envtest and with KUBECTL",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			folder, err := shared.binaryCache().EnvtestFolder(command.Context())
			if err != nil {
				return err
			}
			kubectl, err := shared.kubectl(command.Context())
			if err != nil {
				return err
			}
			return replaceProcess(shared.root, arguments, []string{"KUBEBUILDER_ASSETS=" + folder, "KUBECTL=" + kubectl})
		},
	}
}

// exec replaces this process by a command that uses the cluster.
func (s *settings) exec(ctx context.Context, arguments []string) error {
	kubectl, err := s.kubectl(ctx)
	if err != nil {
		return err
	}
	if arguments[0] == "kubectl" {
		arguments[0] = kubectl
	}
	if _, err := os.Stat(s.kubeconfig); err != nil {
		if s.mode != modeExisting {
			err = fmt.Errorf("the %s cluster of this checkout is not running; run make cluster-up CLUSTER=%s: %w", s.mode, s.mode, err)
		}
		return err
	}
	folders := []string{filepath.Join(s.root, "bin")}
	if filepath.IsAbs(kubectl) {
		folders = append(folders, filepath.Dir(kubectl))
	}
	return replaceProcess(s.root, arguments, []string{
		"KUBECONFIG=" + s.kubeconfig, "KUBECTL=" + kubectl, "CLUSTER=" + s.mode,
		"PATH=" + strings.Join(append(folders, os.Getenv("PATH")), string(filepath.ListSeparator)),
	})
}

// kubectl is the program that the variable KUBECTL names, or the pinned one.
func (s *settings) kubectl(ctx context.Context) (string, error) {
	if given := os.Getenv("KUBECTL"); given != "" {
		return given, nil
	}
	set, err := s.binaryCache().Ensure(ctx, []binaries.Program{binaries.Kubectl})
	if err != nil {
		return "", err
	}
	return set.Path(binaries.Kubectl), nil
}

// replaceProcess becomes the command, so that signals and the exit code are the command's own.
func replaceProcess(folder string, arguments, variables []string) error {
	if err := os.Chdir(folder); err != nil {
		return fmt.Errorf("run %s: %w", arguments[0], err)
	}
	for _, variable := range append(variables, "PWD="+folder) {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("run %s: %w", arguments[0], err)
		}
	}
	program, err := exec.LookPath(arguments[0])
	if err != nil {
		return fmt.Errorf("run %s: %w", arguments[0], err)
	}
	return fmt.Errorf("run %s: %w", arguments[0], unix.Exec(program, arguments, os.Environ()))
}

// errSimulated says why tests that need pods refuse a cluster.
var errSimulated = errors.New("the command needs pods that run, and the nodes of the cluster are simulated: " +
	"use root on Linux, CLUSTER=kind, or KUBECONFIG of another cluster")

// requireRealPods is an error if the nodes of the cluster are simulated.
func (s *settings) requireRealPods(ctx context.Context) error {
	if s.mode == modeSimulated {
		return errSimulated
	}
	if s.mode != modeExisting {
		return nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the cluster of %s: %w", s.kubeconfig, err)
	}
	simulated, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: local.SimulatedLabel})
	if err != nil {
		return fmt.Errorf("list the nodes of %s: %w", s.kubeconfig, err)
	}
	if len(simulated.Items) > 0 {
		return errSimulated
	}
	return nil
}
