package live

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	root   = "../../.."
	config = root + "/config"

	loadTimeout = 3 * time.Minute
	pollEvery   = 250 * time.Millisecond
)

// ends are the phases in which the script leaves its executions.
var ends = map[string]wfev1.Phase{
	"parallel": wfev1.PhaseCompleted, "sequential": wfev1.PhaseCompleted, "chain": wfev1.PhaseCompleted, "retried": wfev1.PhaseCompleted,
	"skipping": wfev1.PhaseCompleted, "optional": wfev1.PhaseCompleted, "approved": wfev1.PhaseCompleted, "dry": wfev1.PhaseCompleted,
	"forbidden": wfev1.PhaseFailed, "failing": wfev1.PhaseFailed, "hopeless": wfev1.PhaseFailed, "undone": wfev1.PhaseFailed,
	"refused": wfev1.PhaseFailed, "cancelled": wfev1.PhaseCancelled,
	"waiting": wfev1.PhaseAwaitingApproval, "running": wfev1.PhaseRunning,
}

// fixture is the cluster and the namespace of the test.
type fixture struct {
	*testutil.Cluster
	*WithT
	namespace string
}

func TestObservability(t *testing.T) {
	ctx := t.Context()
	f := newFixture(ctx, t)
	scrape := f.scrapeConfig(ctx, t)
	f.Expect(f.WithMetrics(ctx, func(address string) error {
		static := []map[string]any{{"targets": []string{address}, "labels": map[string]string{"namespace": testutil.SystemNamespace}}}
		scrape["static_configs"] = static
		p := startPrometheus(t, scrape, map[string]any{
			"job_name": intruder, "scheme": "https", "tls_config": scrape["tls_config"], "static_configs": static,
		})
		f.expectTargets(ctx, p)
		f.runLoad(ctx)
		// After two scrapes the rules must be evaluated again, and then the rules that read their results; a busy machine
		// misses some evaluations.
		settled := time.Now().Add(2 * scrapeEvery)
		f.Eventually(p.evaluated).WithArguments(ctx, settled.Add(10*scrapeEvery)).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
		compareAll(ctx, t, f, p)
		return nil
	})).To(Succeed())
}

// newFixture creates the namespace of the test, with the actions and the service account of its executions.
func newFixture(ctx context.Context, t *testing.T) *fixture {
	t.Helper()
	cluster, err := testutil.Connect()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Cluster: cluster, WithT: NewWithT(t)}
	f.applyFile(ctx, "", filepath.Join(root, "test", "e2e", "testdata", "catalog.yaml"))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "wfe-observability-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	f.Expect(f.Create(ctx, namespace)).To(Succeed())
	f.namespace = namespace.Name
	t.Cleanup(func() {
		// The test's own context is over by now.
		ctx := context.Background()
		f.Expect(f.DeleteAllOf(ctx, &wfev1.WorkflowExecution{}, client.InNamespace(f.namespace))).To(Succeed())
		f.Expect(f.Delete(ctx, namespace)).To(Succeed())
	})
	f.applyFile(ctx, f.namespace, filepath.Join(config, "samples", "payment-api", "remediation.yaml"))
	return f
}

func (f *fixture) applyFile(ctx context.Context, namespace, path string) {
	objects, err := testutil.ReadManifests(path)
	f.Expect(err).NotTo(HaveOccurred())
	if namespace != "" {
		f.Expect(testutil.InNamespace(namespace, objects)).To(Succeed())
	}
	f.Expect(f.Apply(ctx, objects...)).To(Succeed())
}

// scrapeConfig does what the operator does with the ServiceMonitor: it becomes a scrape configuration without targets.
func (f *fixture) scrapeConfig(ctx context.Context, t *testing.T) map[string]any {
	t.Helper()
	f.applyFile(ctx, "", filepath.Join(config, "prometheus", "scraper.yaml"))
	var monitor struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			JobLabel                string               `json:"jobLabel"`
			Selector                metav1.LabelSelector `json:"selector"`
			ScrapeClassicHistograms bool                 `json:"scrapeClassicHistograms"`
			Endpoints               []struct {
				Port          string `json:"port"`
				Path          string `json:"path"`
				Scheme        string `json:"scheme"`
				Interval      string `json:"interval"`
				HonorLabels   bool   `json:"honorLabels"`
				Authorization struct {
					Type        string                   `json:"type"`
					Credentials corev1.SecretKeySelector `json:"credentials"`
				} `json:"authorization"`
				TLSConfig struct {
					InsecureSkipVerify bool `json:"insecureSkipVerify"`
				} `json:"tlsConfig"`
			} `json:"endpoints"`
		} `json:"spec"`
	}
	f.Expect(manifests.Read(filepath.Join(config, "prometheus", "servicemonitor.yaml"), &monitor)).To(Succeed())
	f.Expect(monitor.Spec.Endpoints).To(HaveLen(1))
	endpoint := monitor.Spec.Endpoints[0]

	services := &corev1.ServiceList{}
	f.Expect(f.List(ctx, services, client.InNamespace(testutil.SystemNamespace), client.MatchingLabels(monitor.Spec.Selector.MatchLabels))).To(Succeed())
	f.Expect(services.Items).To(HaveExactElements(HaveField("Labels", HaveKeyWithValue(monitor.Spec.JobLabel, job))), "the ServiceMonitor selects the Service")
	f.Expect(services.Items[0].Spec.Ports).To(ContainElement(HaveField("Name", endpoint.Port)))

	credentials := endpoint.Authorization.Credentials
	secret := &corev1.Secret{}
	f.Eventually(func(g Gomega) {
		g.Expect(f.Get(ctx, client.ObjectKey{Namespace: testutil.SystemNamespace, Name: credentials.Name}, secret)).To(Succeed())
		g.Expect(secret.Data).To(HaveKey(credentials.Key))
	}).WithTimeout(10 * time.Second).WithPolling(pollEvery).Should(Succeed())
	return map[string]any{
		"job_name": job, "metrics_path": endpoint.Path, "scheme": endpoint.Scheme, "honor_labels": endpoint.HonorLabels,
		"authorization": map[string]any{"type": endpoint.Authorization.Type, "credentials": string(secret.Data[credentials.Key])},
		"tls_config":    map[string]any{"insecure_skip_verify": endpoint.TLSConfig.InsecureSkipVerify},
		// With native histograms, Prometheus keeps the classic ones only if the ServiceMonitor requests them.
		"scrape_native_histograms": true, "always_scrape_classic_histograms": monitor.Spec.ScrapeClassicHistograms,
	}
}

// expectTargets waits until the controller was scraped a few times, and was not without the token.
func (f *fixture) expectTargets(ctx context.Context, p *prometheus) {
	f.Eventually(func(g Gomega) {
		now := time.Now()
		up, err := p.vector(ctx, `count_over_time((up{job="`+job+`"} == 1)[30s:1s])`, now)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(up).To(HaveKeyWithValue("", BeNumerically(">=", 3)))
		refused, err := p.vector(ctx, `up{job="`+intruder+`"}`, now)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(refused).To(HaveKeyWithValue("", 0.0), "scraped without a token")
	}).WithTimeout(30 * time.Second).WithPolling(pollEvery).Should(Succeed())
	native, err := p.vector(ctx, `histogram_count(workflowexecution_duration_seconds)`, time.Now())
	f.Expect(err).NotTo(HaveOccurred())
	f.Expect(native).To(HaveLen(1), "native histograms beside the classic ones")
}

// runLoad runs the script to its end.
func (f *fixture) runLoad(ctx context.Context) {
	path := filepath.Join("testdata", "load.yaml")
	f.applyFile(ctx, f.namespace, path)
	f.waitFor(ctx, "approved", HaveField("Status.Phase", wfev1.PhaseAwaitingApproval))
	f.patch(ctx, "approved", `{"spec":{"approvals":[{"step":"ask","approved":true,"by":"carol"}]}}`)
	f.waitFor(ctx, "cancelled", HaveField("Status.Steps", ContainElement(HaveField("Phase", wfev1.StepRunning))))
	f.patch(ctx, "cancelled", `{"spec":{"cancel":"Terminate"}}`)
	f.waitFor(ctx, "running", HaveField("Status.Steps", ContainElement(HaveField("Phase", wfev1.StepRunning))))
	f.Eventually(func(g Gomega) {
		phases := map[string]wfev1.Phase{}
		for _, wfe := range f.executions(ctx, g, f.namespace) {
			phases[wfe.Name] = wfe.Status.Phase
		}
		g.Expect(phases).To(Equal(ends))
	}).WithTimeout(loadTimeout).WithPolling(pollEvery).Should(Succeed())
}

func (f *fixture) waitFor(ctx context.Context, name string, matcher OmegaMatcher) {
	f.Eventually(func(g Gomega) {
		wfe := wfev1.WorkflowExecution{}
		g.Expect(f.Get(ctx, client.ObjectKey{Namespace: f.namespace, Name: name}, &wfe)).To(Succeed())
		g.Expect(wfe).To(matcher)
	}).WithTimeout(loadTimeout).WithPolling(pollEvery).Should(Succeed())
}

func (f *fixture) patch(ctx context.Context, name, patch string) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(wfev1.GroupVersion.String())
	object.SetKind("WorkflowExecution")
	object.SetNamespace(f.namespace)
	object.SetName(name)
	f.Expect(f.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
}

// executions are those of a namespace, or all.
func (f *fixture) executions(ctx context.Context, g Gomega, namespace string) []wfev1.WorkflowExecution {
	list := &wfev1.WorkflowExecutionList{}
	g.Expect(f.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// efficiency is what the gauge has to be: over all executions of the cluster that ended in the last hour.
func (f *fixture) efficiency(ctx context.Context, at time.Time) float64 {
	var recent []wfev1.WorkflowExecution
	for _, wfe := range f.executions(ctx, f, "") {
		if end := wfe.Status.CompletionTime; end != nil && end.After(at.Add(-time.Hour)) {
			recent = append(recent, wfe)
		}
	}
	o := addUp(recent)
	return o.parallel / o.executed
}

// compareAll evaluates all queries at one time.
func compareAll(ctx context.Context, t *testing.T, f *fixture, p *prometheus) {
	t.Helper()
	at := time.Now()
	o := addUp(f.executions(ctx, f, f.namespace))
	if len(o.durations)%2 == 0 {
		t.Fatalf("%d executions have a duration: half of them lie on a bucket's bound, where a median is a matter of rounding", len(o.durations))
	}
	efficiency := f.efficiency(ctx, at)
	compareEach := func(kind string, queries []query, checks map[string]check) {
		t.Run(kind, func(t *testing.T) {
			for _, query := range queries {
				want, ok := checks[query.name]
				if !ok {
					t.Errorf("nothing is expected of %q", query.name)
					continue
				}
				delete(checks, query.name)
				got, err := p.vector(ctx, query.expr, at)
				if err == nil {
					t.Logf("%s: %v", query.name, got)
					err = want(got)
				}
				if err != nil {
					t.Errorf("%s: %v", query.name, err)
				}
			}
			for name := range checks {
				t.Errorf("nothing asks for %q", name)
			}
		})
	}
	compareEach("specification", specifiedQueries, o.expectQueries(efficiency))
	compareEach("indicators", indicators(t), o.expectIndicators())
	compareEach("panels", panelQueries(t), o.expectPanels(efficiency, at))
	t.Run("alerts", func(t *testing.T) {
		g := NewWithT(t)
		states, err := p.alerts(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		for name, state := range expectAlerts() {
			g.Expect(states).To(HaveKeyWithValue(name, state))
		}
	})
}

// indicators are the recorded series of the specification's indicators.
func indicators(t *testing.T) []query {
	t.Helper()
	groups, err := manifests.Groups(config)
	if err != nil {
		t.Fatal(err)
	}
	var queries []query
	for _, group := range groups {
		if group.Name != "workflowexecution-slis" {
			continue
		}
		for _, rule := range group.Rules {
			queries = append(queries, query{rule.Record, rule.Record})
		}
	}
	return queries
}

// panelQueries are the dashboard's, with everything chosen.
func panelQueries(t *testing.T) []query {
	t.Helper()
	dashboard, err := manifests.ReadDashboard(config)
	if err != nil {
		t.Fatal(err)
	}
	chosen := map[string]string{
		"namespace": ".*", "action": ".*", "job": job, "window": "5m", "__rate_interval": "5m",
	}
	var queries []query
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr, err := manifests.Interpolate(target.Expr, chosen)
			if err != nil {
				t.Fatal(err)
			}
			queries = append(queries, query{panel.Title + " " + target.RefID, expr})
		}
	}
	return queries
}
