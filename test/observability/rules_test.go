package observability

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

// config is the folder of the repository that is tested.
const config = "../../config"

func rules(t *testing.T) []manifests.Rule {
	t.Helper()
	rules, err := manifests.Rules(config)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// promtool runs promtool, and fails with what it says.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := manifests.Tool(config, "promtool")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(path, args...).CombinedOutput(); err != nil { //nolint:gosec // our own tool
		t.Errorf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, output)
	}
}

func TestRulesAreValid(t *testing.T) {
	files, err := manifests.RuleFiles(config)
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, append([]string{"check", "rules", "--lint-fatal"}, files...)...)
}

// ruleTests are the files of promtool's tests.
func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules: %v", err)
	}
	return files
}

func TestRulesDoWhatTheyShould(t *testing.T) {
	promtool(t, append([]string{"test", "rules"}, ruleTests(t)...)...)
}

// TestEveryRuleIsTested wants an alert to fire in one of promtool's tests and to be silent in another, and a recorded
// series to have a value in one.
func TestEveryRuleIsTested(t *testing.T) {
	fires, silent, recorded := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, path := range ruleTests(t) {
		var file struct {
			RuleFiles          []string `json:"rule_files"`
			EvaluationInterval string   `json:"evaluation_interval"`
			GroupOrder         []string `json:"group_eval_order"`
			Tests              []struct {
				Name        string `json:"name"`
				Interval    string `json:"interval"`
				InputSeries []any  `json:"input_series"`
				Expressions []struct {
					Expr    string `json:"expr"`
					Time    string `json:"eval_time"`
					Samples []any  `json:"exp_samples"`
				} `json:"promql_expr_test"`
				Alerts []struct {
					Name   string `json:"alertname"`
					Time   string `json:"eval_time"`
					Alerts []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		if err := manifests.Read(path, &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, alert := range test.Alerts {
				fires[alert.Name] = fires[alert.Name] || len(alert.Alerts) > 0
				silent[alert.Name] = silent[alert.Name] || len(alert.Alerts) == 0
			}
			for _, expression := range test.Expressions {
				if len(expression.Samples) == 0 {
					continue
				}
				names, err := manifests.MetricsOf(expression.Expr)
				if err != nil {
					t.Error(err)
				}
				for _, name := range names {
					recorded[name] = true
				}
			}
		}
	}
	for _, rule := range rules(t) {
		switch {
		case rule.Record != "" && !recorded[rule.Record]:
			t.Errorf("no test has a value of %s", rule.Record)
		case rule.Alert != "" && !fires[rule.Alert]:
			t.Errorf("no test makes %s fire", rule.Alert)
		case rule.Alert != "" && !silent[rule.Alert]:
			t.Errorf("no test expects %s to be silent", rule.Alert)
		}
	}
}

func TestAlerts(t *testing.T) {
	specified := []string{
		"WorkflowExecutionSuccessRateSLOBreach", "WorkflowStepSuccessRateSLOBreach", "WorkflowLowParallelEfficiency",
		"WorkflowStepHighFailureRate", "WorkflowExecutionStuck",
	}
	for _, rule := range rules(t) {
		if rule.Alert == "" {
			continue
		}
		specified = slices.DeleteFunc(specified, func(name string) bool { return name == rule.Alert })
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", rule.Alert, severity)
		}
		for _, annotation := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", rule.Alert, annotation)
			}
		}
		if url := rule.Annotations["runbook_url"]; !strings.HasSuffix(url, "/config/prometheus/runbooks/"+rule.Alert+".md") {
			t.Errorf("%s leads to the runbook %s", rule.Alert, url)
		}
	}
	if len(specified) > 0 {
		t.Errorf("the specification names alerts that do not exist: %v", specified)
	}
}

// TestRulesUseWhatExists checks that no rule reads a series that nothing writes.
func TestRulesUseWhatExists(t *testing.T) {
	known := knownSeries(t)
	for _, rule := range rules(t) {
		names, err := manifests.MetricsOf(rule.Expr)
		if err != nil {
			t.Errorf("%s: %v", rule.Name(), err)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s reads %s, which does not exist", rule.Name(), name)
			}
		}
	}
}

// knownSeries are the names of the series that the controller's own metrics have and that rules record.
func knownSeries(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, metric := range metrics.Table() {
		if metric.Type != metrics.Histogram {
			known[metric.Name] = true
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			known[metric.Name+suffix] = true
		}
	}
	for _, rule := range rules(t) {
		if rule.Record != "" {
			known[rule.Record] = true
		}
	}
	return known
}

func TestRunbooks(t *testing.T) {
	var alerts []string
	for _, rule := range rules(t) {
		if rule.Alert != "" && !slices.Contains(alerts, rule.Alert) {
			alerts = append(alerts, rule.Alert)
		}
	}
	files, err := filepath.Glob(filepath.Join(config, "prometheus", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var runbooks []string
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		runbooks = append(runbooks, name)
		content := read(t, path)
		at := 0
		for _, heading := range []string{"# " + name + "\n", "\n## Meaning\n", "\n## Impact\n", "\n## How to look\n", "\n## How to fix\n"} {
			next := strings.Index(content[at:], heading)
			if next < 0 {
				t.Errorf("%s has no %q in its place", path, strings.TrimSpace(heading))
				break
			}
			at += next
		}
	}
	slices.Sort(alerts)
	if !slices.Equal(alerts, runbooks) {
		t.Errorf("alerts and runbooks differ:\n%v\n%v", alerts, runbooks)
	}
}

// TestOperatorObjects checks that what the operator needs is complete.
func TestOperatorObjects(t *testing.T) {
	var kinds []string
	for _, object := range build(t, "prometheus") {
		kinds = append(kinds, object.kind)
	}
	slices.Sort(kinds)
	want := []string{"ClusterRoleBinding", "PrometheusRule", "Secret", "ServiceAccount", "ServiceMonitor"}
	if !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}
