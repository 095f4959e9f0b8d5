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
	// wait bounds what must happen once the fault is over.
	wait, polling = 2 * time.Minute, 100 * time.Millisecond
	// takeover bounds the time after which another leader works.
	takeover = 20 * time.Second
)

var (
	ctx = context.Background()
	// binary is the manager as it is shipped.
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

// world is a control plane with an Argo that is played, and managers that are real processes.
type world struct {
	*controlplane.ControlPlane
	argo     *simulator.Controller
	managers []*manager
}

// newWorld starts a control plane, with Argo's kinds or without.
func newWorld(withArgo bool) *world {
	GinkgoHelper()
	plane, err := controlplane.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	w := &world{ControlPlane: plane, argo: &simulator.Controller{
		Argo: simulator.Argo{Now: time.Now}, Script: simulator.AllSucceed, Pace: 300 * time.Millisecond,
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}}
	Expect(client.IgnoreAlreadyExists(w.Admin.Create(ctx, account))).To(Succeed())
	DeferCleanup(func() {
		for _, m := range w.managers {
			m.end()
		}
	})
	if withArgo {
		w.installArgo()
	}
	return w
}

// installArgo installs Argo's kinds, one action, and an Argo.
func (w *world) installArgo() {
	GinkgoHelper()
	Expect(w.InstallArgo(testutil.Minimal)).To(Succeed())
	root, err := testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "actions", "wait.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(w.Admin.Create(ctx, object)).To(Succeed())
	}
	playing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.argo.Run(playing, w.Config, ctrl.Options{Scheme: w.Admin.Scheme()}) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).Should(Receive(BeNil()), "the simulated Argo")
	})
}

// execution has so many steps, one after another.
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

// apply creates executions of so many steps.
func (w *world) apply(count, steps int) {
	GinkgoHelper()
	for i := range count {
		Expect(w.Admin.Create(ctx, execution(fmt.Sprintf("e%d", i), steps))).To(Succeed())
	}
}

// phases counts the executions in each phase.
func (w *world) phases() map[wfev1.Phase]int {
	list := &wfev1.WorkflowExecutionList{}
	phases := map[wfev1.Phase]int{}
	if err := w.Admin.List(ctx, list); err != nil {
		return phases // the API server may be away
	}
	for i := range list.Items {
		phases[list.Items[i].Status.Phase]++
	}
	return phases
}

// expectAllDone waits until all executions have completed, and checks that nothing was done twice.
func (w *world) expectAllDone(executions, steps int) {
	GinkgoHelper()
	Eventually(w.phases).WithTimeout(3 * wait).Should(Equal(map[wfev1.Phase]int{wfev1.PhaseCompleted: executions}))
	Expect(w.argo.Duplicates()).To(BeEmpty())
	Expect(w.argo.StartedAttempts()).To(Equal(executions * steps))
}
