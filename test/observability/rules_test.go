package observability

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

// config is the folder of the repository under test.
const config = "../../config"

func rules(t *testing.T) []manifests.Rule {
	t.Helper()
	rules, err := manifests.Rules(config)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// promtool runs promtool and fails the test with its output.
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

// TestEveryRuleIsTested checks that each alert fires in one test of promtool and is silent in another one, and that each
// recorded series has a value in one.
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

// TestRulesUseWhatExists checks that every series in a rule exists.
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

// knownSeries are the names of the series of the controller and its frameworks, and of the recorded series.
func knownSeries(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, name := range frameworkSeries {
		known[name] = true
	}
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

// TestRuleFormsAgree checks that the PrometheusRule has the groups of the plain files, so that every test of rules holds for
// both forms.
func TestRuleFormsAgree(t *testing.T) {
	plain, err := manifests.Groups(config)
	if err != nil {
		t.Fatal(err)
	}
	var operator struct {
		Spec struct {
			Groups []manifests.Group `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(config, "prometheus", "prometheusrule.yaml"))), &operator); err != nil {
		t.Fatal(err)
	}
	byName := func(a, b manifests.Group) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(plain, byName)
	slices.SortFunc(operator.Spec.Groups, byName)
	if !reflect.DeepEqual(plain, operator.Spec.Groups) {
		t.Error("the PrometheusRule differs from the plain rules; run make generate")
	}
}

// TestRulesGroupByInstallation checks that no aggregation mixes the installations of several clusters or namespaces.
func TestRulesGroupByInstallation(t *testing.T) {
	for _, rule := range rules(t) {
		parsed, err := manifests.Parse(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			aggregation, ok := node.(*parser.AggregateExpr)
			if !ok {
				return nil
			}
			for _, label := range []string{"cluster", "namespace", "job"} {
				if slices.Contains(aggregation.Grouping, label) == aggregation.Without {
					t.Errorf("%s drops the label %s in %s", rule.Name(), label, aggregation)
				}
			}
			return nil
		})
	}
}

// TestJob checks that the job in the rules is the one that the ServiceMonitor assigns.
func TestJob(t *testing.T) {
	var monitor struct {
		Spec struct {
			JobLabel string `json:"jobLabel"`
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
		} `json:"spec"`
	}
	content := read(t, filepath.Join(config, "prometheus", "servicemonitor.yaml"))
	if err := yaml.Unmarshal([]byte(content), &monitor); err != nil {
		t.Fatal(err)
	}
	want := monitor.Spec.Selector.MatchLabels[monitor.Spec.JobLabel]
	selected := 0
	for _, rule := range rules(t) {
		parsed, err := manifests.Parse(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, matchers := range parser.ExtractSelectors(parsed) {
			for _, matcher := range matchers {
				if matcher.Name != "job" {
					continue
				}
				selected++
				if want == "" || matcher.Value != want {
					t.Errorf("%s selects the job %q; the ServiceMonitor assigns %q", rule.Name(), matcher.Value, want)
				}
			}
		}
	}
	if selected == 0 {
		t.Error("no rule selects a job")
	}
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

// TestOperatorObjects checks that all objects for the operator are there.
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
