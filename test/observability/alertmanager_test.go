package observability

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

// inhibition is an inhibition rule of Alertmanager with the matchers = and =~, which are the ones in use.
type inhibition struct {
	SourceMatchers []string `json:"source_matchers"`
	TargetMatchers []string `json:"target_matchers"`
	Equal          []string `json:"equal"`
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	var file struct {
		InhibitRules []inhibition `json:"inhibit_rules"`
	}
	if err := manifests.Read(filepath.Join(config, "prometheus", "alertmanager.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	return file.InhibitRules
}

var matcher = regexp.MustCompile(`^(\w+)(=~?)"(.*)"$`)

func matches(t *testing.T, matchers []string, labels map[string]string) bool {
	t.Helper()
	for _, m := range matchers {
		parts := matcher.FindStringSubmatch(m)
		if parts == nil {
			t.Fatalf("matcher %s", m)
		}
		pattern := "^(?:" + parts[3] + ")$"
		if parts[2] == "=" {
			pattern = "^" + regexp.QuoteMeta(parts[3]) + "$"
		}
		if !regexp.MustCompile(pattern).MatchString(labels[parts[1]]) {
			return false
		}
	}
	return true
}

// alertLabels returns the labels of an alert. The alerts on budgets have the label slo from their series.
func alertLabels(rule manifests.Rule, slo string) map[string]string {
	labels := map[string]string{"alertname": rule.Alert, "severity": rule.Labels["severity"], "slo": rule.Labels["slo"]}
	if labels["slo"] == "" && strings.HasPrefix(rule.Alert, "WorkflowExecutionErrorBudget") {
		labels["slo"] = slo
	}
	return labels
}

// TestInhibitions checks which alerts inhibit which, over all pairs of alerts of one installation.
func TestInhibitions(t *testing.T) {
	const slo = "workflow_success_rate"
	inhibited := map[string][]string{}
	name := func(rule manifests.Rule) string { return rule.Alert + " " + rule.Labels["severity"] }
	for _, source := range rules(t) {
		for _, target := range rules(t) {
			from, to := alertLabels(source, slo), alertLabels(target, slo)
			for _, rule := range inhibitions(t) {
				if source.Alert == "" || target.Alert == "" || !matches(t, rule.SourceMatchers, from) || !matches(t, rule.TargetMatchers, to) {
					continue
				}
				if slices.Contains(rule.Equal, "slo") && from["slo"] != to["slo"] {
					continue
				}
				if from["severity"] == "warning" && to["severity"] == "critical" && !strings.HasSuffix(target.Alert, "SLOBreach") && target.Alert != "WorkflowCatalogEmpty" {
					t.Errorf("%s hides the page %s", name(source), name(target))
				}
				for _, label := range []string{"cluster", "namespace", "job"} {
					if !slices.Contains(rule.Equal, label) {
						t.Errorf("%s hides alerts of other installations", name(source))
					}
				}
				inhibited[name(source)] = append(inhibited[name(source)], name(target))
			}
		}
	}
	want := []string{
		"WorkflowExecutionErrorBudgetExhausted warning", "WorkflowExecutionErrorBudgetSlowBurn warning",
		"WorkflowExecutionSuccessRateErrorBudgetBurn warning", "WorkflowExecutionSuccessRateSLOBreach critical",
	}
	got := inhibited["WorkflowExecutionSuccessRateErrorBudgetBurn critical"]
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("a page inhibits %v, want %v", got, want)
	}
	if !slices.Contains(inhibited["WorkflowExecutionSuccessRateErrorBudgetBurn warning"], "WorkflowExecutionSuccessRateSLOBreach critical") {
		t.Error("a ticket does not inhibit the specified alert of the same objective")
	}
}
