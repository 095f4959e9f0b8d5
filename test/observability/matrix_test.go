package observability

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

var update = flag.Bool("update", false, "write the table of the rules' README")

// firing is when an alert fires in a cell of the matrix, and how often it starts to, at most over its series.
type firing struct {
	alert  string
	first  time.Duration // after the first failure
	starts int
}

// TestMatrix lets promtool compute which alerts fire for each shape of traffic, of failures and of disturbances, and
// compares the result with the table in the README of the rules.
func TestMatrix(t *testing.T) {
	results := map[string][]firing{}
	for _, grid := range grids {
		for name, firings := range evaluate(t, grid) {
			results[name] = firings
		}
	}
	checkMatrix(t, results)

	const path, begin, end = config + "/prometheus/README.md", "<!-- matrix:begin -->\n", "<!-- matrix:end -->"
	head, rest, found := strings.Cut(read(t, path), begin)
	got, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks the marks of the matrix", path)
	}
	want := matrixTable(results)
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+want+end+tail), 0o644); err != nil { //nolint:gosec // a document is readable by all
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the matrix in %s differs; run go test -C test/observability -run TestMatrix . -update:\n%s", path, want)
	}
}

// checkMatrix checks what must hold whatever the table says.
func checkMatrix(t *testing.T, results map[string][]firing) {
	t.Helper()
	for _, grid := range grids {
		for _, traffic := range grid.traffics {
			for _, failure := range failures {
				undisturbed := results[cell(traffic.name, failure.name, disturbances[0])]
				fails := traffic.name != "none" && failure.name != "never"
				if !fails && len(undisturbed) > 0 {
					t.Errorf("%s, %s: %v fire without a failure", traffic.name, failure.name, undisturbed)
				}
				if failure.name == "all" && fails && len(undisturbed) == 0 {
					t.Errorf("%s: no alert fires although all fail", traffic.name)
				}
				for _, disturbance := range disturbancesOf(traffic.name, failure.name) {
					for _, f := range results[cell(traffic.name, failure.name, disturbance)] {
						if f.starts > 1 && strings.Contains(f.alert, "critical") && traffic.name != "bursts" {
							t.Errorf("%s, %s, %s: %s fires %d times", traffic.name, failure.name, disturbance, f.alert, f.starts)
						}
					}
				}
			}
		}
	}
}

// matrixTable is the matrix as Markdown. A disturbance is listed only where it changes an alert or its first minute by more
// than a tenth.
func matrixTable(results map[string][]firing) string {
	var b strings.Builder
	b.WriteString("| executions | failures | alerts (first after the first failure) | with a disturbance |\n|---|---|---|---|\n")
	for _, grid := range grids {
		for _, traffic := range grid.traffics {
			if traffic.name == "none" {
				b.WriteString("| none | none | none | not simulated |\n")
				continue
			}
			for _, failure := range failures {
				base := results[cell(traffic.name, failure.name, disturbances[0])]
				var differences []string
				tried := disturbancesOf(traffic.name, failure.name)
				for _, disturbance := range tried[1:] {
					if other := results[cell(traffic.name, failure.name, disturbance)]; !alike(base, other) {
						differences = append(differences, disturbance+": "+describe(other))
					}
				}
				difference := "the same"
				switch {
				case len(tried) == 1:
					difference = "not simulated"
				case len(differences) > 0:
					difference = strings.Join(differences, "; ")
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", traffic.name, failure.name, describe(base), difference)
			}
		}
	}
	return b.String()
}

func alike(a, b []firing) bool {
	return slices.EqualFunc(a, b, func(x, y firing) bool {
		difference := (x.first - y.first).Abs()
		return x.alert == y.alert && x.starts == y.starts && difference <= max(x.first/10, 2*time.Minute)
	})
}

func describe(firings []firing) string {
	if len(firings) == 0 {
		return "none"
	}
	var parts []string
	for _, f := range firings {
		part := f.alert + " " + strings.TrimSuffix(f.first.Round(time.Minute).String(), "0s")
		if f.starts > 1 {
			part += fmt.Sprintf(" (%d times)", f.starts)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// gotLine finds a query and its result in the output of promtool, which prints them because the test expects nothing.
var (
	gotLine   = regexp.MustCompile(`(?s)expr: "(.*?[^\\])", time: .*?got: (.*?)\n`)
	gotSample = regexp.MustCompile(`\{([^}]*)\} ([0-9.E+-]+)`)
	gotLabel  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	ofCell    = regexp.MustCompile(`cluster=\\"([^"\\]*)\\"`)
)

// evaluate runs promtool on all cells of a grid. Each cell is a cluster of its own, so that one run serves all.
func evaluate(t *testing.T, g grid) map[string][]firing {
	t.Helper()
	file := map[string]any{
		"rule_files": ruleFiles(t), "evaluation_interval": g.evaluation.String(), "group_eval_order": groupOrder(t),
	}
	test := map[string]any{"interval": g.interval.String()}
	var series, queries []map[string]any
	begins := map[string]time.Duration{}
	for _, traffic := range g.traffics {
		for _, failure := range failures {
			for _, disturbance := range disturbancesOf(traffic.name, failure.name) {
				s := simulate(g, traffic, failure, disturbance)
				name := cell(traffic.name, failure.name, disturbance)
				begins[name] = s.firstFailure
				series = append(series, s.series(name)...)
				selector := fmt.Sprintf(`ALERTS{alertstate="firing", namespace="system", cluster=%q}`, name)
				step := g.evaluation.String()
				for _, query := range []string{
					fmt.Sprintf(`min by (alertname, severity) (min_over_time(timestamp(%s)[%s:%s]))`, selector, g.horizon, step),
					fmt.Sprintf(`max by (alertname, severity) (count_over_time((%s unless %s offset %s)[%s:%s]))`, selector, selector, step, g.horizon, step),
				} {
					queries = append(queries, map[string]any{"expr": query, "eval_time": g.horizon.String()})
				}
			}
		}
	}
	test["input_series"], test["promql_expr_test"] = series, queries
	file["tests"] = []any{test}
	content, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "matrix.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	results := map[string][]firing{}
	for _, match := range gotLine.FindAllStringSubmatch(promtoolOutput(t, path), -1) {
		readResult(t, results, begins, match[1], match[2])
	}
	for name := range results {
		slices.SortFunc(results[name], func(a, b firing) int { return cmp.Compare(a.alert, b.alert) })
	}
	return results
}

// readResult adds the result of one query to the firings of its cell.
func readResult(t *testing.T, results map[string][]firing, begins map[string]time.Duration, query, result string) {
	t.Helper()
	name := ofCell.FindStringSubmatch(query)[1]
	for _, sample := range gotSample.FindAllStringSubmatch(result, -1) {
		labels := map[string]string{}
		for _, label := range gotLabel.FindAllStringSubmatch(sample[1], -1) {
			labels[label[1]] = label[2]
		}
		value, err := strconv.ParseFloat(sample[2], 64)
		if err != nil {
			t.Fatalf("%s: %v", result, err)
		}
		alert := fmt.Sprintf("%s (%s)", labels["alertname"], labels["severity"])
		i := slices.IndexFunc(results[name], func(f firing) bool { return f.alert == alert })
		if i < 0 {
			results[name] = append(results[name], firing{alert: alert})
			i = len(results[name]) - 1
		}
		if strings.HasPrefix(query, "min") {
			results[name][i].first = time.Duration(value)*time.Second - begins[name]
		} else {
			results[name][i].starts = int(value)
		}
	}
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := manifests.RuleFiles(config)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// groupOrder evaluates recorded series before the rules that read them: those of the previous evaluation may be stale.
func groupOrder(t *testing.T) []string {
	t.Helper()
	groups, err := manifests.Groups(config)
	if err != nil {
		t.Fatal(err)
	}
	rank := func(name string) int {
		return slices.IndexFunc([]string{"sli", "meta", "-alerts-", ""}, func(part string) bool { return strings.Contains(name, part) })
	}
	var names []string
	for _, group := range groups {
		names = append(names, group.Name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return names
}
