package controllers_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kubernaut-io/workflowexecution/test/controlplane"
)

const (
	// serviceAccount is what the steps run under; each namespace of the suite has it.
	serviceAccount = "remediation"
	// wait bounds what must happen; polling is how often it is looked for.
	wait, polling = 10 * time.Second, 20 * time.Millisecond
	// quiet is how long it is watched that something does not happen.
	quiet = 300 * time.Millisecond
)

// The suite's one environment. The specs run one after another, each in a namespace of its own.
var (
	ctx = context.Background()
	// admin is everybody but the controller: users, Argo and the garbage collector. It has no cache.
	admin client.WithWatch
	// adminConfig connects admin, controllerConfig the controller.
	adminConfig, controllerConfig *rest.Config
	scheme                        *runtime.Scheme
	// moment is the clock of the controller and of Argo's double.
	moment = &shiftedClock{}
	// calls is what the controller asks of the API server, and where a spec makes it fail.
	calls = newWire()
	// ns is the namespace of the running spec.
	ns string
	// before is what was counted when the running spec began.
	before tally
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
		Eventually(func() error { return goleak.Find(goroutines) }).Should(Succeed(), "goroutines outlive the controller")
	})
	startEnvironment()
	installCatalog()
	lead()
	DeferCleanup(stepDown)
})

// startEnvironment starts an API server and etcd with the CRDs of this repository and Argo's minimal ones.
func startEnvironment() {
	environment, err := controlplane.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	Expect(environment.InstallArgo()).To(Succeed())
	admin, adminConfig, controllerConfig, scheme = environment.Admin, environment.Config, environment.Controller, environment.Admin.Scheme()
	stageClient, err = client.NewWithWatch(controllerConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
}

var _ = BeforeEach(func() {
	ns = newNamespace()
	calls.forget()
	before = counted()
	DeferCleanup(cleanUp)
})
