// Command demo runs the sample remediation on the cluster of KUBECONFIG. It shows the steps while they run, and then the steps, the objects
// and the metrics that changed. It needs an installed controller and kubectl-wfe on the PATH, which make demo provides.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	namespace = "demo"
	sample    = "config/samples/remediate.yaml"
	name      = "payment-api-oom"
	limit     = 5 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	root, err := testutil.Root()
	if err != nil {
		return err
	}
	cluster, err := testutil.Connect()
	if err != nil {
		return err
	}
	printHeading(out, "Creating the Deployment to remediate: payment-api in namespace "+namespace+", 2 replicas with 1Gi")
	if err := prepare(ctx, cluster, root); err != nil {
		return err
	}
	simulated, err := cluster.IsSimulated(ctx)
	if err != nil {
		return err
	}
	if simulated {
		printHeading(out, "THE NODES OF THIS CLUSTER ARE SIMULATED: steps succeed without any effect and without outputs, and payment-api stays unchanged")
	}
	before, err := scrape(ctx, cluster, simulated)
	if err != nil {
		return err
	}
	printHeading(out, "kubectl apply -f "+sample)
	objects, err := testutil.ReadManifests(filepath.Join(root, sample))
	if err != nil {
		return err
	}
	if err := testutil.InNamespace(namespace, objects); err != nil {
		return err
	}
	if err := cluster.Apply(ctx, objects...); err != nil {
		return err
	}
	// The exit code is the outcome, which is checked below.
	_ = kubectl(ctx, out, "wfe", "watch", name, "-n", namespace)
	wfe := &wfev1.WorkflowExecution{}
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, wfe); err != nil {
		return err
	}
	after, err := scrape(ctx, cluster, simulated)
	if err != nil {
		return err
	}
	if err := show(ctx, out); err != nil {
		return err
	}
	if simulated {
		printHeading(out, "On a cluster that runs pods (as root on Linux), the demo also shows metrics, and payment-api has 5 replicas and 2Gi at the end")
	} else {
		showChanged(out, before, after)
	}
	showNextSteps(out, root, simulated)
	if wfe.Status.Phase != wfev1.PhaseCompleted {
		return fmt.Errorf("the execution ended in phase %s: %+v", wfe.Status.Phase, wfe.Status.Failure)
	}
	return nil
}

// scrape reads the metrics of the controller, which are not served on simulated clusters.
func scrape(ctx context.Context, cluster *testutil.Cluster, simulated bool) (testutil.Samples, error) {
	if simulated {
		return nil, nil
	}
	return cluster.Scrape(ctx)
}

// prepare restores the state before the incident, also after an earlier demo.
func prepare(ctx context.Context, cluster *testutil.Cluster, root string) error {
	dir := filepath.Join(root, "config", "samples", "payment-api")
	objects, err := testutil.ReadManifests(filepath.Join(dir, "namespace.yaml"))
	if err != nil {
		return err
	}
	objects[0].SetName(namespace)
	inside, err := testutil.ReadManifests(filepath.Join(dir, "remediation.yaml"), filepath.Join(dir, "deployment.yaml"))
	if err != nil {
		return err
	}
	if err := testutil.InNamespace(namespace, inside); err != nil {
		return err
	}
	earlier := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := client.IgnoreNotFound(cluster.Delete(ctx, earlier)); err != nil {
		return fmt.Errorf("delete the execution of an earlier demo: %w", err)
	}
	if err := cluster.Apply(ctx, append(objects, inside...)...); err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		gone := apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(earlier), &wfev1.WorkflowExecution{}))
		target := &appsv1.Deployment{}
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "payment-api"}, target); err != nil {
			return false, err
		}
		status := target.Status
		return gone && status.ObservedGeneration == target.Generation && status.Replicas == 2 && status.AvailableReplicas == 2, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the Deployment: %w", err)
	}
	return nil
}

// show prints the objects after the execution.
func show(ctx context.Context, out io.Writer) error {
	for _, args := range [][]string{
		{"wfe", "tree", name, "-n", namespace, "-o", "wide"},
		{"get", "wfe", "-n", namespace, "-o", "wide"},
		{"get", "workflows", "-n", namespace},
		{"get", "deployment", "payment-api", "-n", namespace},
	} {
		if err := kubectl(ctx, out, args...); err != nil {
			return err
		}
	}
	return nil
}

func showChanged(out io.Writer, before, after testutil.Samples) {
	printHeading(out, "Metrics that changed")
	changed := testutil.Moved(before, after)
	for _, series := range changed.Names() {
		_, _ = fmt.Fprintf(out, "  %-82s %+g\n", series, changed[series])
	}
}

func showNextSteps(out io.Writer, root string, simulated bool) {
	suite := "  make test-e2e                     # run the end-to-end suite on the same cluster\n"
	if simulated {
		suite = ""
	}
	down := "make cluster-down"
	if mode := os.Getenv("CLUSTER"); mode != "" && mode != "local" {
		down += " CLUSTER=" + mode
	}
	printHeading(out, "Next steps")
	_, _ = fmt.Fprintf(out, `  export KUBECONFIG=%s
  export PATH=%s:$PATH
  kubectl wfe describe %s -n %s     # conditions, steps and events
  kubectl get wfe -A --watch
%s  %-33s # remove the cluster
`, os.Getenv("KUBECONFIG"), filepath.Join(root, "bin"), name, namespace, suite, down)
}

// kubectl runs the program of the variable KUBECTL, and prints the command as a user types it.
func kubectl(ctx context.Context, out io.Writer, args ...string) error {
	program := os.Getenv("KUBECTL")
	if program == "" {
		program = "kubectl"
	}
	line := "kubectl"
	for _, arg := range args {
		line += " " + arg
	}
	printHeading(out, line)
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = out, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

func printHeading(out io.Writer, line string) { _, _ = fmt.Fprintf(out, "\n▸ %s\n", line) }
