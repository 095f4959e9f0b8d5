package observability

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// objective is one objective in the specification's form.
type objective struct {
	Name         string  `json:"name"`
	SLI          string  `json:"sli"`
	Target       float64 `json:"target"`
	Window       string  `json:"window"`
	BurnRateFast float64 `json:"burn_rate_fast,omitempty"`
	BurnRateSlow float64 `json:"burn_rate_slow,omitempty"`
}

// TestObjectivesAgree compares the objectives in the form of the specification with the rules that sloth generates.
func TestObjectivesAgree(t *testing.T) {
	var file struct {
		SLOs []objective `json:"slos"`
	}
	if err := manifests.Read(filepath.Join(config, "slo", "slos.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	slothNames := map[string]string{
		"WorkflowExecution Success Rate": "success-rate",
		"WorkflowExecution P95 Latency":  "latency",
		"Step Success Rate":              "step-success-rate",
	}
	if len(file.SLOs) != len(slothNames) {
		t.Errorf("%d objectives, want %d", len(file.SLOs), len(slothNames))
	}
	known := knownSeries(t)
	for _, objective := range file.SLOs {
		names, err := manifests.MetricsOf(objective.SLI)
		if err != nil {
			t.Errorf("%s: %v", objective.Name, err)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: nothing records %s", objective.Name, name)
			}
		}
		if !strings.Contains(objective.SLI, objective.Window) {
			t.Errorf("%s: the indicator %s does not cover %s", objective.Name, objective.SLI, objective.Window)
		}
		ratio, errors, page := slothRules(t, slothNames[objective.Name], objective.Window)
		// The objective of a P95 is that 95 % are below the target, which is a bucket bound.
		target := objective.Target
		if target > 1 {
			if !strings.Contains(errors, fmt.Sprintf(`le=~"%v|%v.0"`, target, target)) {
				t.Errorf("%s: the indicator of sloth lacks the target %v:\n%s", objective.Name, target, errors)
			}
			target = 0.95
		}
		if want := fmt.Sprintf("vector(%v)", target); ratio != want {
			t.Errorf("%s: sloth has the objective %s, want %s", objective.Name, ratio, want)
		}
		budget := math.Round((1-target)*100) / 100
		for _, burn := range []float64{objective.BurnRateFast, objective.BurnRateSlow} {
			if burn != 0 && !strings.Contains(page, fmt.Sprintf("> (%v * %v)", burn, budget)) {
				t.Errorf("%s: the page lacks the burn rate %v:\n%s", objective.Name, burn, page)
			}
		}
	}
}

// slothRules finds the expressions of an objective, of its error ratio over a window, and of its page.
func slothRules(t *testing.T, slo, window string) (ratio, errors, page string) {
	t.Helper()
	for _, rule := range rules(t) {
		switch {
		case rule.Record == "slo:objective:ratio" && rule.Labels["sloth_slo"] == slo:
			ratio = rule.Expr
		case rule.Record == "slo:sli_error:ratio_rate"+window && rule.Labels["sloth_slo"] == slo:
			errors = rule.Expr
		case rule.Labels["sloth_severity"] == "page" && strings.Contains(rule.Expr, `sloth_slo="`+slo+`"`):
			page = rule.Expr
		}
	}
	if ratio == "" || errors == "" || page == "" {
		t.Fatalf("sloth has no rules for %q over %s", slo, window)
	}
	return ratio, errors, page
}
