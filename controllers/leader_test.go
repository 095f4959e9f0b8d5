package controllers_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// defaultTimeout is the timeout of executions that set none.
const defaultTimeout = time.Hour

// leader is the current leader, and stop stops it. registries are the registries of all leaders.
var (
	leader     *controllers.Reconciler
	stop       func()
	registries []*prometheus.Registry
	// argoServer is the Argo server of the next leader, or nil.
	argoServer *controllers.ArgoServer
	// namespacedActions, namespaces, catalogNamespace and maxLive are settings of the next leader.
	namespacedActions bool
	namespaces        []string
	catalogNamespace  string
	maxLive           int
)

// lead starts a controller as cmd/manager does and waits until it has read the catalog.
func lead() {
	GinkgoHelper()
	settings := controllers.Settings{
		DefaultTimeout:      defaultTimeout,
		ArgoURL:             "https://argo.example",
		NamespacedActions:   namespacedActions,
		Namespaces:          namespaces,
		CatalogNamespace:    catalogNamespace,
		MaxLivePerNamespace: maxLive,
		Workflow:            translate.Options{ServiceAccountName: serviceAccount, InstanceID: "blue"},
	}
	mgr, err := ctrl.NewManager(controllerConfig, ctrl.Options{
		Scheme:     scheme,
		NewCache:   controllers.NewCache(settings),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			cached, err := client.NewWithWatch(config, options)
			if err != nil {
				return nil, err
			}
			return calls.wrap(cached, false), nil
		},
	})
	Expect(err).NotTo(HaveOccurred())
	live, err := client.NewWithWatch(controllerConfig, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	Expect(err).NotTo(HaveOccurred())

	recorder := metrics.NewRecorder(metrics.WithClock(testClock.Now))
	leader = controllers.NewReconciler(controllers.Dependencies{
		Client:     mgr.GetClient(),
		Live:       calls.wrap(live, true),
		Clock:      testClock,
		Events:     mgr.GetEventRecorder("workflowexecution-controller"),
		Metrics:    recorder,
		ArgoServer: argoServer,
	}, settings)
	Expect(leader.SetupWithManager(ctx, mgr, 4)).To(Succeed())
	registry := prometheus.NewRegistry()
	registry.MustRegister(recorder, metrics.NewCollector(leader.Source(), testClock.Now, func() bool { return true }, metrics.DefaultMaxStartTimestamps))
	registries = append(registries, registry)
	leftovers = workload()
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	stop = func() {
		cancel()
		Eventually(ended).Should(Receive(BeNil()), "the end of the manager")
	}
	Expect(mgr.GetCache().WaitForCacheSync(running)).To(BeTrue())
	Eventually(knownActions).Should(ContainElements(catalogNames()))
}

// stepDown stops the leader.
func stepDown() {
	GinkgoHelper()
	if stop != nil {
		stop()
		stop = nil
	}
}

// withNewLeader stops the leader, calls a function, and starts the next leader.
func withNewLeader(meanwhile func()) {
	GinkgoHelper()
	stepDown()
	// The next specs need a leader also if this one fails.
	defer lead()
	meanwhile()
}

// busy reports whether the controller is reconciling or has queued requests.
func busy() bool {
	GinkgoHelper()
	return workload() > leftovers
}

// leftovers is the number of requests that were still in the queues of earlier leaders when these stopped.
var leftovers float64

// workload is the number of running and queued requests of the controller. The simulated Argo has a queue of its own, whose depth
// metric keeps the requests that were queued when it stopped.
func workload() float64 {
	GinkgoHelper()
	load := 0.0
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		switch family.GetName() {
		case "controller_runtime_active_workers", "workqueue_depth":
			for _, metric := range family.GetMetric() {
				if strings.Contains(seriesOf(family, metric), "controller=workflowexecution") {
					load += metric.GetGauge().GetValue()
				}
			}
		}
	}
	return load
}
