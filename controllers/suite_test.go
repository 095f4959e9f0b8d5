package controllers_test

import (
	"context"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// serviceAccount is the service account of the steps. Each namespace of the suite has it.
	serviceAccount = "remediation"
	// wait is the timeout of Eventually, and polling its interval.
	wait, polling = 10 * time.Second, 20 * time.Millisecond
	// quiet is the duration of Consistently.
	quiet = 300 * time.Millisecond
)

// The environment of the suite. The specs run one after another, each in a namespace of its own.
var (
	ctx = context.Background()
	// environment is the API server and etcd.
	environment *controlplane.ControlPlane
	// admin is the client of users, Argo and the garbage collector. It has no cache.
	admin client.WithWatch
	// adminConfig is the configuration of admin, and controllerConfig that of the controller.
	adminConfig, controllerConfig *rest.Config
	scheme                        *runtime.Scheme
	// testClock is the clock of the controller and of the simulated Argo.
	testClock = &shiftedClock{}
	// calls records the calls of the controller and injects faults.
	calls = newFaultClient()
	// ns is the namespace of the running spec.
	ns string
	// before are the counters at the start of the running spec.
	before seriesValues
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controllers")
}

var _ = BeforeSuite(func() {
	SetDefaultEventuallyTimeout(wait)
	SetDefaultEventuallyPollingInterval(polling)
	SetDefaultConsistentlyDuration(quiet)
	SetDefaultConsistentlyPollingInterval(polling)
	EnforceDefaultTimeoutsWhenUsingContexts()
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))

	goroutines := goleak.IgnoreCurrent()
	DeferCleanup(func() {
		Eventually(func() error { return goleak.Find(goroutines) }).Should(Succeed(), "goroutines of the controller leak")
	})
	startEnvironment()
	installCatalog()
	lead()
	DeferCleanup(stepDown)
})

// The controller has no right that the whole suite could do without, except one that no request uses: the right to update
// finalizers is checked when an owner is named.
var _ = AfterSuite(func() {
	if how, _ := GinkgoConfiguration(); len(how.FocusStrings)+len(how.SkipStrings)+len(how.FocusFiles)+len(how.SkipFiles) > 0 || how.LabelFilter == "whole" {
		return // skipped specs used no right
	}
	used, err := environment.UsedRights()
	Expect(err).NotTo(HaveOccurred())
	role := &rbacv1.ClusterRole{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: "workflowexecution-controller"}, role)).To(Succeed())
	unused := slices.DeleteFunc(controlplane.Rights(role.Rules...), func(right string) bool { return slices.Contains(used, right) })
	Expect(unused).To(ConsistOf("update workflowexecution.kubernaut.io/workflowexecutions/finalizers"))
})

// startEnvironment starts an API server and etcd with the CRDs of this repository and Argo's minimal ones.
func startEnvironment() {
	var err error
	environment, err = controlplane.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	Expect(environment.InstallArgo(testutil.Minimal)).To(Succeed())
	admin, adminConfig, controllerConfig, scheme = environment.Admin, environment.Config, environment.Controller, environment.Admin.Scheme()
	simulationClient, err = client.NewWithWatch(controllerConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
}

var _ = BeforeEach(func() {
	ns = newNamespace()
	calls.reset()
	before = counted()
	DeferCleanup(cleanUp)
})
