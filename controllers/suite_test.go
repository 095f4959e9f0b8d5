package controllers_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// assetsVariable names the folder with the binaries of the API server and etcd.
	assetsVariable = "KUBEBUILDER_ASSETS"
	// controllerUser is who the controller is to the API server, with the rights of config/rbac and no others.
	controllerUser = "workflowexecution-controller"
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
	// controllerConfig connects the controller.
	controllerConfig *rest.Config
	scheme           = runtime.NewScheme()
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
	if os.Getenv(assetsVariable) == "" {
		t.Fatalf("%s is not set: this suite needs the binaries of an API server and etcd. Run `make test-envtest`, which builds them.", assetsVariable)
	}
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
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, wfev1.AddToScheme, wfv1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	startEnvironment()
	grantRights()
	installCatalog()
	lead()
	DeferCleanup(stepDown)
})

// startEnvironment starts an API server and etcd with the CRDs of this repository and Argo's minimal ones.
func startEnvironment() {
	folders, err := testutil.DefinitionFolders()
	Expect(err).NotTo(HaveOccurred())
	environment := &envtest.Environment{
		Scheme:                scheme,
		BinaryAssetsDirectory: os.Getenv(assetsVariable),
		ErrorIfCRDPathMissing: true,
		CRDDirectoryPaths:     folders,
	}
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred(), "start the API server and etcd of %s", environment.BinaryAssetsDirectory)
	DeferCleanup(environment.Stop)
	config.QPS = -1
	admin, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	user, err := environment.AddUser(envtest.User{Name: controllerUser}, config)
	Expect(err).NotTo(HaveOccurred())
	controllerConfig = user.Config()
}

// grantRights gives the controller's user what config/rbac gives the controller, and the service accounts of all
// namespaces what steps need to report to Argo.
func grantRights() {
	root, err := testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		if object.GetKind() == "ClusterRole" {
			Expect(admin.Create(ctx, object)).To(Succeed())
			bindRole(object.GetName(), rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: controllerUser})
		}
	}
	report := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "step"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"argoproj.io"}, Resources: []string{"workflowtaskresults"}, Verbs: []string{"create", "patch"}}},
	}
	Expect(admin.Create(ctx, report)).To(Succeed())
	bindRole(report.Name, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts"})
}

func bindRole(role string, subject rbacv1.Subject) {
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{subject},
	})).To(Succeed())
}

var _ = BeforeEach(func() {
	ns = newNamespace()
	calls.forget()
	before = counted()
	DeferCleanup(cleanUp)
})
