package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// wait is the timeout for recovery after a fault.
	wait, polling = 2 * time.Minute, 100 * time.Millisecond
	// takeover is the timeout for another manager to become the leader.
	takeover = 20 * time.Second
)

var (
	ctx = context.Background()
	// binary is the path of the shipped manager.
	binary string
)

func TestFaults(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "faults")
}

var _ = BeforeSuite(func() {
	SetDefaultEventuallyTimeout(wait)
	SetDefaultEventuallyPollingInterval(polling)
	EnforceDefaultTimeoutsWhenUsingContexts()
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	klog.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))

	goroutines := goleak.IgnoreCurrent()
	DeferCleanup(func() {
		Eventually(func() error { return goleak.Find(goroutines) }).Should(Succeed(), "goroutines outlive the suite")
	})
	root, err := testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	folder, err := os.MkdirTemp("", "faults-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, folder)
	binary = filepath.Join(folder, "manager")
	build := exec.Command("go", "build", "-o", binary, "./cmd/manager")
	build.Dir = root
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", output)
})

// cluster is a control plane with a simulated Argo and managers that are real processes.
type cluster struct {
	*controlplane.ControlPlane
	argo     *simulator.Controller
	managers []*manager
}

// newCluster starts a control plane, with Argo's CustomResourceDefinitions or without.
func newCluster(withArgo bool) *cluster {
	GinkgoHelper()
	plane, err := controlplane.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	c := &cluster{ControlPlane: plane, argo: &simulator.Controller{
		Argo: simulator.Argo{Now: time.Now}, Script: simulator.AllSucceed, Pace: 300 * time.Millisecond,
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}}
	Expect(client.IgnoreAlreadyExists(c.Admin.Create(ctx, account))).To(Succeed())
	DeferCleanup(func() {
		for _, m := range c.managers {
			m.end()
		}
	})
	if withArgo {
		c.installArgo()
	}
	return c
}

// installArgo installs Argo's CustomResourceDefinitions and one action, and runs a simulated Argo.
func (c *cluster) installArgo() {
	GinkgoHelper()
	Expect(c.InstallArgo(testutil.Minimal)).To(Succeed())
	root, err := testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "actions", "wait.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(c.Admin.Create(ctx, object)).To(Succeed())
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.argo.Run(running, c.Config, ctrl.Options{Scheme: c.Admin.Scheme()}) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).Should(Receive(BeNil()), "the simulated Argo")
	})
}

// execution is an execution of a chain of steps.
func execution(name string, steps int) *wfev1.WorkflowExecution {
	seconds := "1"
	wfe := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       wfev1.WorkflowExecutionSpec{Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: name}},
	}
	for i := range steps {
		step := wfev1.Step{Name: fmt.Sprintf("s%d", i), Action: "wait", Parameters: []wfev1.Parameter{{Name: "seconds", Value: &seconds}}}
		if i > 0 {
			step.DependsOn = []string{fmt.Sprintf("s%d", i-1)}
		}
		wfe.Spec.Steps = append(wfe.Spec.Steps, step)
	}
	return wfe
}

// apply creates executions of a number of steps each.
func (c *cluster) apply(count, steps int) {
	GinkgoHelper()
	for i := range count {
		Expect(c.Admin.Create(ctx, execution(fmt.Sprintf("e%d", i), steps))).To(Succeed())
	}
}

// phases counts the executions in each phase.
func (c *cluster) phases() map[wfev1.Phase]int {
	list := &wfev1.WorkflowExecutionList{}
	phases := map[wfev1.Phase]int{}
	if err := c.Admin.List(ctx, list); err != nil {
		return phases // the API server may be unavailable
	}
	for i := range list.Items {
		phases[list.Items[i].Status.Phase]++
	}
	return phases
}

// expectAllCompleted waits until all executions have completed, and checks that no Workflow or step was duplicated.
func (c *cluster) expectAllCompleted(executions, steps int) {
	GinkgoHelper()
	Eventually(c.phases).WithTimeout(3 * wait).Should(Equal(map[wfev1.Phase]int{wfev1.PhaseCompleted: executions}))
	Expect(c.argo.Duplicates()).To(BeEmpty())
	Expect(c.argo.StartedAttempts()).To(Equal(executions * steps))
}
