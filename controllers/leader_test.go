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

// defaultTimeout bounds the executions of the suite that set no timeout.
const defaultTimeout = time.Hour

// leader is the controller that leads, and stop ends it, if any; registries are those of every controller that has led.
var (
	leader     *controllers.Reconciler
	stop       func()
	registries []*prometheus.Registry
	// argoServer is what the next controller asks for offloaded nodes; nil for nobody.
	argoServer *controllers.ArgoServer
	// namespacedActions, namespaces, catalogNamespace and maxLive are settings of the next controller.
	namespacedActions bool
	namespaces        []string
	catalogNamespace  string
	maxLive           int
)

// lead starts a controller with the wiring of cmd/manager and waits until it knows the catalog.
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
			return calls.tap(cached, false), nil
		},
	})
	Expect(err).NotTo(HaveOccurred())
	live, err := client.NewWithWatch(controllerConfig, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	Expect(err).NotTo(HaveOccurred())

	recorder := metrics.NewRecorder(metrics.WithClock(moment.Now))
	leader = controllers.NewReconciler(controllers.Dependencies{
		Client:     mgr.GetClient(),
		Live:       calls.tap(live, true),
		Clock:      moment,
		Events:     mgr.GetEventRecorder("workflowexecution-controller"),
		Metrics:    recorder,
		ArgoServer: argoServer,
	}, settings)
	Expect(leader.SetupWithManager(ctx, mgr, 4)).To(Succeed())
	registry := prometheus.NewRegistry()
	registry.MustRegister(recorder, metrics.NewCollector(leader.Source(), moment.Now, func() bool { return true }, metrics.DefaultMaxStartTimestamps))
	registries = append(registries, registry)
	leftovers = workload()
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	stop = func() {
		cancel()
		Eventually(ended).Should(Receive(BeNil()), "the manager's end")
	}
	Expect(mgr.GetCache().WaitForCacheSync(running)).To(BeTrue())
	Eventually(knownActions).Should(ContainElements(catalogNames()))
}

// stepDown stops the controller that leads.
func stepDown() {
	GinkgoHelper()
	if stop != nil {
		stop()
		stop = nil
	}
}

// succession lets the next controller lead, after something happened while nobody did.
func succession(meanwhile func()) {
	GinkgoHelper()
	stepDown()
	// The suite must go on also when this spec fails in between.
	defer lead()
	meanwhile()
}

// busy reports whether the controller works on something or has something to work on at once.
func busy() bool {
	GinkgoHelper()
	return workload() > leftovers
}

// leftovers is what the queues of those who led before still held when they were shut down.
var leftovers float64

// workload is what the controller works on, and has in its queue. the simulated Argo has a queue of its own, which does not count:
// what was in it when it was shut down stays in its depth for good.
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
