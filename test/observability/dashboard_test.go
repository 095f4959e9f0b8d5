package observability

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

// frameworkSeries are the series of Prometheus, controller-runtime and client-go that rules and the dashboard may use. The
// test against a cluster checks that they exist.
var frameworkSeries = []string{
	"up", "ALERTS",
	"controller_runtime_reconcile_total", "controller_runtime_reconcile_errors_total",
	"controller_runtime_reconcile_time_seconds_bucket", "workqueue_depth", "workqueue_queue_duration_seconds_bucket",
	"rest_client_requests_total", "rest_client_request_duration_seconds_bucket",
}

// anything has a value for each variable that a query may use.
var anything = map[string]string{
	"namespace": ".*", "action": ".*", "job": ".*", "window": "5m", "__rate_interval": "1m",
}

func dashboard(t *testing.T) *manifests.Dashboard {
	t.Helper()
	dashboard, err := manifests.ReadDashboard(config)
	if err != nil {
		t.Fatal(err)
	}
	return dashboard
}

func TestDashboardIsTheSpecified(t *testing.T) {
	dashboard := dashboard(t)
	if dashboard.UID != "workflowexecution-controller" || dashboard.Title != "WorkflowExecution Controller - Orchestration Observability" ||
		!slices.Equal(dashboard.Tags, []string{"kubernaut", "workflowexecution", "orchestration", "controller"}) {
		t.Errorf("uid %q, title %q, tags %v", dashboard.UID, dashboard.Title, dashboard.Tags)
	}
	if dashboard.SchemaVersion < 39 {
		t.Errorf("schema %d", dashboard.SchemaVersion)
	}
	specified := []struct{ title, kind string }{
		{"Workflow Success Rate (SLI)", "timeseries"},
		{"Workflow Execution Latency (P50, P95, P99)", "timeseries"},
		{"Step Success Rate by Action", "timeseries"},
		{"Parallel Execution Efficiency", "timeseries"},
		{"Active Workflows", "stat"},
		{"Dependency Resolution Performance", "timeseries"},
		{"Step Execution Duration by Action", "heatmap"},
	}
	for i, want := range specified {
		if got := dashboard.Panels[i]; got.ID != i+1 || got.Title != want.title || got.Type != want.kind {
			t.Errorf("panel %d is %d %q, a %s; want %q, a %s", i+1, got.ID, got.Title, got.Type, want.title, want.kind)
		}
	}
}

func TestPanels(t *testing.T) {
	titles, ids := map[string]bool{}, map[int]bool{}
	taken := map[[2]int]string{}
	for _, panel := range dashboard(t).Panels {
		if panel.Title == "" || titles[panel.Title] || ids[panel.ID] {
			t.Errorf("panel %d %q: the title or the id is not its own", panel.ID, panel.Title)
		}
		titles[panel.Title], ids[panel.ID] = true, true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				cell := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other := taken[cell]; other != "" || cell[0] >= 24 {
					t.Fatalf("%q lies over %q or the edge", panel.Title, other)
				}
				taken[cell] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		if !slices.Contains([]string{"timeseries", "stat", "heatmap"}, panel.Type) {
			t.Errorf("%q is a %s", panel.Title, panel.Type)
		}
		defaults := panel.FieldConfig.Defaults
		if panel.Description == "" || defaults.Unit == "" || len(defaults.Thresholds.Steps) == 0 || len(panel.Targets) == 0 {
			t.Errorf("%q lacks a description, a unit, thresholds or a query", panel.Title)
		}
		refs := map[string]bool{}
		for _, target := range panel.Targets {
			if target.LegendFormat == "" || refs[target.RefID] {
				t.Errorf("%q: query %s has no legend or no name of its own", panel.Title, target.RefID)
			}
			refs[target.RefID] = true
			for _, source := range []manifests.Datasource{panel.Datasource, target.Datasource} {
				if source != (manifests.Datasource{Type: "prometheus", UID: "${datasource}"}) {
					t.Errorf("%q reads from %v", panel.Title, source)
				}
			}
		}
	}
}

func TestQueries(t *testing.T) {
	known := knownSeries(t)
	dashboard := dashboard(t)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			checkQuantiles(t, panel.Title, checkMetrics(t, panel.Title, target.Expr, known))
		}
	}
	for _, variable := range dashboard.Templating.List {
		if selector, isOfValues := strings.CutPrefix(variable.Definition, "label_values("); isOfValues {
			checkMetrics(t, variable.Name, selector[:strings.LastIndex(selector, ",")], known)
		}
	}
}

// checkMetrics checks that an expression selects existing series, and returns it with values for its variables.
func checkMetrics(t *testing.T, where, expression string, known map[string]bool) string {
	t.Helper()
	query, err := manifests.Interpolate(expression, anything)
	if err != nil {
		t.Fatalf("%q: %v", where, err)
	}
	names, err := manifests.MetricsOf(query)
	if err != nil {
		t.Fatalf("%q: %v", where, err)
	}
	for _, name := range names {
		if !known[name] {
			t.Errorf("%q uses %s, which does not exist", where, name)
		}
	}
	return query
}

// checkQuantiles checks that the buckets of a quantile are summed by le, so that replicas are one histogram.
func checkQuantiles(t *testing.T, where, query string) {
	t.Helper()
	parsed, err := manifests.Parse(query)
	if err != nil {
		t.Error(err)
		return
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		call, ok := node.(*parser.Call)
		if !ok || call.Func.Name != "histogram_quantile" {
			return nil
		}
		sum, ok := call.Args[1].(*parser.AggregateExpr)
		if !ok || sum.Op != parser.SUM || sum.Without || !slices.Contains(sum.Grouping, "le") {
			t.Errorf("%s: the buckets of a quantile are not summed by (le): %s", where, query)
		}
		return nil
	})
}

func TestRuleQuantiles(t *testing.T) {
	for _, rule := range rules(t) {
		checkQuantiles(t, rule.Name(), rule.Expr)
	}
}

// TestVariables checks that each variable is used and that each used variable exists.
func TestVariables(t *testing.T) {
	dashboard := dashboard(t)
	used := map[string]bool{"datasource": true}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range manifests.Variables(target.Expr) {
				used[name] = true
			}
		}
	}
	// A variable of Grafana itself.
	delete(used, "__rate_interval")
	for _, variable := range dashboard.Templating.List {
		if !used[variable.Name] {
			t.Errorf("nothing uses the variable %s", variable.Name)
		}
		delete(used, variable.Name)
		if variable.Type == "query" && variable.Datasource.UID != "${datasource}" {
			t.Errorf("the variable %s reads from %v", variable.Name, variable.Datasource)
		}
	}
	for name := range used {
		t.Errorf("there is no variable %s", name)
	}
	names := []string{}
	for _, variable := range dashboard.Templating.List {
		names = append(names, variable.Name)
	}
	for _, want := range []string{"datasource", "namespace", "action"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no variable %s among %v", want, names)
		}
	}
}

// TestEventsAreBars checks that events are drawn for each interval of the graph: over 30 days, the increase over a short
// window misses most of them.
func TestEventsAreBars(t *testing.T) {
	titles := []string{"Ended Executions", "Failures by Reason", "Rollbacks", "Failed Steps by Action", "Retries and Skips by Action"}
	for _, panel := range dashboard(t).Panels {
		if !slices.Contains(titles, panel.Title) {
			continue
		}
		if panel.FieldConfig.Defaults.Custom.DrawStyle != "bars" {
			t.Errorf("%q does not draw bars", panel.Title)
		}
		for _, target := range panel.Targets {
			if !strings.Contains(target.Expr, "[$__rate_interval]") {
				t.Errorf("%q misses events between its points: %s", panel.Title, target.Expr)
			}
		}
	}
}

// TestOverview checks the first row after the specified panels, the link to the runbooks and the annotations.
func TestOverview(t *testing.T) {
	dashboard := dashboard(t)
	want := []string{"Now", "Leader and Replicas", "Firing Alerts", "Pending by Reason", "Awaiting Approval", "Failures of 24 h by Reason"}
	for i, title := range want {
		if got := dashboard.Panels[7+i].Title; got != title {
			t.Errorf("panel %d is %q, want %q", 7+i, got, title)
		}
	}
	if len(dashboard.Links) != 1 || !strings.HasSuffix(dashboard.Links[0].URL, "/config/prometheus/runbooks") {
		t.Errorf("no link to the runbooks: %v", dashboard.Links)
	}
	if len(dashboard.Annotations.List) != 1 || !strings.HasPrefix(dashboard.Annotations.List[0].Expr, "ALERTS{") {
		t.Errorf("alerts are no annotations: %v", dashboard.Annotations.List)
	}
}

// TestConfigMap checks that the ConfigMap for the sidecar contains the dashboard.
func TestConfigMap(t *testing.T) {
	objects := build(t, "grafana")
	if len(objects) != 1 {
		t.Fatalf("%d objects, want a ConfigMap", len(objects))
	}
	if got := objects[0]; got.kind != "ConfigMap" || got.labels["grafana_dashboard"] != "1" {
		t.Errorf("a %s with the labels %v", got.kind, got.labels)
	}
	if objects[0].data[filepath.Base(manifests.DashboardPath)] != read(t, filepath.Join(config, manifests.DashboardPath)) {
		t.Error("the ConfigMap has another dashboard")
	}
}

// object has the fields of a built object that the tests use.
type object struct {
	kind         string
	labels, data map[string]string
}

// build builds a folder of config with kustomize.
func build(t *testing.T, folder string) []object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(config, folder))
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	for _, resource := range built.Resources() {
		objects = append(objects, object{kind: resource.GetKind(), labels: resource.GetLabels(), data: resource.GetDataMap()})
	}
	return objects
}
