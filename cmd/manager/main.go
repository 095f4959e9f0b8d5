// Command manager runs the WorkflowExecution controller. It holds flags and wiring only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// leaderElectionID is the name of the lease, unique to this controller.
const leaderElectionID = "workflowexecution.kubernaut.io"

// options are the flags.
type options struct {
	metricsAddress   string
	metricsInsecure  bool
	probeAddress     string
	leaderElect      bool
	leaseNamespace   string
	concurrency      int
	maxStartSeries   int
	qps              float64
	burst            int
	settings         controllers.Settings
	namespaces       string
	pprofAddress     string
	argoInstanceID   string
	argoServerURL    string
	argoServerCA     string
	serviceAccount   string
	leaseDuration    time.Duration
	renewDeadline    time.Duration
	leaderRetry      time.Duration
	logs             zap.Options
	gracefulShutdown time.Duration
}

// garbageShare is how much garbage there may be beside a hundred parts of what is in use; GOGC overrides it. Most of the heap
// is a cache that hardly changes, so half of Go's 100 saves a fifth of the memory and costs a twentieth of processor time.
const garbageShare = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbageShare)
	}
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.logs)))
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	mgr, err := newManager(scheme, o)
	if err != nil {
		return err
	}
	if err := addReconciler(ctx, mgr, o); err != nil {
		return err
	}
	if err := addProbes(mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address of /metrics; 0 serves none.")
	f.BoolVar(&o.metricsInsecure, "metrics-insecure", false, "Serve /metrics over HTTP without authentication, for tests.")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "Let one replica lead; the others wait.")
	f.StringVar(&o.leaseNamespace, "leader-elect-namespace", "", "Namespace of the lease; in a pod, its own unless another is named.")
	f.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "How long a lease lasts that is not renewed.")
	f.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second, "How long a leader tries to renew before it gives up.")
	f.DurationVar(&o.leaderRetry, "leader-elect-retry-period", 2*time.Second, "How often a replica tries for the lease.")
	f.IntVar(&o.concurrency, "concurrent-reconciles", 8, "How many executions are reconciled at the same time.")
	f.IntVar(&o.maxStartSeries, "max-start-timestamps", metrics.DefaultMaxStartTimestamps, "The most series of workflowexecution_start_timestamp; the oldest executions have one.")
	f.Float64Var(&o.qps, "kube-api-qps", -1, "Bound on the client's requests a second; negative leaves it to the API server's fairness.")
	f.IntVar(&o.burst, "kube-api-burst", 100, "How many requests may exceed the bound at once.")
	f.DurationVar(&o.settings.DefaultTimeout, "default-timeout", time.Hour, "Bound on an execution that sets no timeoutSeconds.")
	f.StringVar(&o.serviceAccount, "default-service-account", "default", "Service account of the steps of an execution that names none.")
	f.StringVar(&o.argoInstanceID, "argo-instance-id", "", "Instance ID of the Argo controller that shall run the Workflows.")
	f.StringVar(&o.argoServerURL, "argo-server-url", "", "URL of the Argo server, from which the controller reads nodes that Argo keeps in a database, with its own token. To decide approvals there, the controller needs the verb update on workflows.")
	f.StringVar(&o.argoServerCA, "argo-server-ca-file", "", "Certificate authorities of the Argo server; empty for the system's.")
	f.StringVar(&o.settings.ArgoURL, "argo-ui-url", "", "Base URL of the Argo UI, for status.url.")
	f.BoolVar(&o.settings.NamespacedActions, "namespaced-actions", false, "Let WorkflowTemplates of an execution's namespace be actions too.")
	f.StringVar(&o.namespaces, "namespaces", "", "Namespaces whose executions are driven, separated by commas; empty for all. With some, and with --catalog-namespace, Roles are enough.")
	f.StringVar(&o.settings.CatalogNamespace, "catalog-namespace", "", "Namespace whose WorkflowTemplates are the actions, in place of the cluster's.")
	f.IntVar(&o.settings.MaxLivePerNamespace, "max-live-per-namespace", 0, "The most executions of a namespace that have started and not ended; the others wait. 0 for no bound.")
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "", "Address of /debug/pprof, which exposes the memory of the process without authentication; empty serves none.")
	f.DurationVar(&o.gracefulShutdown, "graceful-shutdown-timeout", 20*time.Second, "How long running reconciles may take to finish after the process receives a termination signal.")
	o.logs.BindFlags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.settings.DefaultTimeout < time.Second {
		return nil, fmt.Errorf("--default-timeout: %s is shorter than a second", o.settings.DefaultTimeout)
	}
	if o.settings.MaxLivePerNamespace < 0 {
		return nil, fmt.Errorf("--max-live-per-namespace: %d is negative", o.settings.MaxLivePerNamespace)
	}
	for _, name := range strings.FieldsFunc(o.namespaces, func(c rune) bool { return c == ',' || c == ' ' }) {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return nil, fmt.Errorf("--namespaces: %q: %s", name, strings.Join(problems, "; "))
		}
		o.settings.Namespaces = append(o.settings.Namespaces, name)
	}
	o.settings.ArgoURL = strings.TrimSuffix(o.settings.ArgoURL, "/")
	o.settings.Workflow = translate.Options{ServiceAccountName: o.serviceAccount, InstanceID: o.argoInstanceID}
	return o, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, wfev1.AddToScheme, wfv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

func newManager(scheme *runtime.Scheme, o *options) (manager.Manager, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = float32(o.qps), o.burst
	served := metricsserver.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		served.SecureServing = true
		served.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		NewCache:                      controllers.NewCache(o.settings),
		Metrics:                       served,
		HealthProbeBindAddress:        o.probeAddress,
		PprofBindAddress:              o.pprofAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.leaderRetry,
		GracefulShutdownTimeout:       &o.gracefulShutdown,
	})
}

func addReconciler(ctx context.Context, mgr manager.Manager, o *options) error {
	ctrlmetrics.RegisterRESTClientMetrics(ctrlmetrics.MetricRequestLatency)
	recorder := metrics.NewRecorder()
	argoServer, err := newArgoServer(mgr.GetConfig(), o)
	if err != nil {
		return err
	}
	reconciler := controllers.NewReconciler(controllers.Dependencies{
		Client:     mgr.GetClient(),
		Live:       mgr.GetAPIReader(),
		Clock:      clock.RealClock{},
		Events:     mgr.GetEventRecorder("workflowexecution-controller"),
		Metrics:    recorder,
		ArgoServer: argoServer,
	}, o.settings)
	if err := reconciler.SetupWithManager(ctx, mgr, o.concurrency); err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	recorder.ReadActions(reconciler.Source().Catalog)
	collector := metrics.NewCollector(reconciler.Source(), time.Now, func() bool { return isClosed(mgr.Elected()) }, o.maxStartSeries)
	for _, c := range []prometheus.Collector{recorder, collector} {
		if err := ctrlmetrics.Registry.Register(c); err != nil {
			return fmt.Errorf("register the metrics: %w", err)
		}
	}
	return nil
}

// newArgoServer is nil where no URL is set.
func newArgoServer(api *rest.Config, o *options) (*controllers.ArgoServer, error) {
	if o.argoServerURL == "" {
		return nil, nil
	}
	server, err := controllers.NewArgoServer(o.argoServerURL, &rest.Config{
		BearerToken:     api.BearerToken,
		BearerTokenFile: api.BearerTokenFile,
		TLSClientConfig: rest.TLSClientConfig{CAFile: o.argoServerCA},
	})
	if err != nil {
		return nil, fmt.Errorf("--argo-server-url: %w", err)
	}
	return server, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func addProbes(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return fmt.Errorf("add /healthz: %w", err)
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return fmt.Errorf("add /readyz: %w", err)
	}
	return nil
}
