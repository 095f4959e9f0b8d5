package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	scrapeEvery = time.Second
	// job is the label that the operator assigns to the targets: the value of the Service's label that jobLabel names.
	job = "workflowexecution"
	// intruder scrapes without the token.
	intruder = "without-token"
)

// prometheus is a real one, on a port of this machine, with the rules of the repository.
type prometheus struct {
	promv1.API
	t *testing.T
}

// startPrometheus starts it with scrape configurations and stops it at the end of the test.
func startPrometheus(t *testing.T, scrapes ...map[string]any) *prometheus {
	t.Helper()
	g := NewWithT(t)
	binary, err := manifests.Tool(config, "prometheus")
	g.Expect(err).NotTo(HaveOccurred())
	folder := t.TempDir()
	writeYAML(t, filepath.Join(folder, "prometheus.yml"), map[string]any{
		"global":         map[string]any{"scrape_interval": scrapeEvery.String(), "scrape_timeout": scrapeEvery.String(), "evaluation_interval": "1s"},
		"rule_files":     []string{filepath.Join(folder, "rules.yaml")},
		"scrape_configs": scrapes,
	})
	writeRules(t, filepath.Join(folder, "rules.yaml"))

	address := freeAddress(t)
	log, err := os.Create(filepath.Join(folder, "log"))
	g.Expect(err).NotTo(HaveOccurred())
	command := exec.Command(binary, //nolint:gosec // our own tool
		"--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--storage.tsdb.retention.time=1d", "--log.level=warn")
	command.Env = append(os.Environ(), "GOMEMLIMIT=384MiB", "GOMAXPROCS=1")
	command.Stdout, command.Stderr = log, log
	g.Expect(command.Start()).To(Succeed())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		err := command.Process.Signal(syscall.SIGTERM)
		if err == nil {
			err = <-ended
		}
		if said, _ := os.ReadFile(log.Name()); t.Failed() || err != nil {
			t.Logf("Prometheus ended with %v; its log:\n%s", err, said)
		}
	})
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error { return isReady("http://" + address + "/-/ready") }).WithTimeout(30 * time.Second).WithPolling(scrapeEvery / 4).Should(Succeed())
	return &prometheus{API: promv1.NewAPI(client), t: t}
}

func isReady(url string) error {
	response, err := http.Get(url) //nolint:gosec,noctx // our own server, once
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

// freeAddress is a free address of this machine.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// writeRules writes the repository's rules, with nothing changed but how often they are evaluated.
func writeRules(t *testing.T, path string) {
	t.Helper()
	groups, err := manifests.Groups(config)
	if err != nil {
		t.Fatal(err)
	}
	for i := range groups {
		groups[i].Interval = ""
	}
	writeYAML(t, path, map[string]any{"groups": groups})
}

func writeYAML(t *testing.T, path string, content any) {
	t.Helper()
	encoded, err := yaml.Marshal(content)
	if err == nil {
		err = os.WriteFile(path, encoded, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// vector is the result of a query: values by their distinguishing labels, without those that are not a number.
func (p *prometheus) vector(ctx context.Context, query string, at time.Time) (map[string]float64, error) {
	answer, warnings, _, err := p.Query(ctx, query, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("%s: %v", query, warnings)
	}
	samples, ok := answer.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s: a %s", query, answer.Type())
	}
	values := map[string]float64{}
	for _, sample := range samples {
		key := keyOf(sample.Metric)
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("%s: two values for %q", query, key)
		}
		if !math.IsNaN(float64(sample.Value)) {
			values[key] = float64(sample.Value)
		}
	}
	return values, nil
}

// keyOf is the labels of a series without the name, the scraped target, and the labels that repeat the name of the rule or
// of the objective.
func keyOf(metric model.Metric) string {
	labels := metric.Clone()
	for _, name := range []model.LabelName{
		model.MetricNameLabel, model.InstanceLabel, model.JobLabel, "sloth_id", "sloth_service", "sloth_window",
	} {
		delete(labels, name)
	}
	if labels["namespace"] == testutil.SystemNamespace {
		delete(labels, "namespace")
	}
	if len(labels) == 0 {
		return ""
	}
	return labels.String()
}

// evaluated fails until every rule was evaluated, without an error, after a moment.
func (p *prometheus) evaluated(ctx context.Context, after time.Time) error {
	result, err := p.Rules(ctx, nil)
	if err != nil {
		return err
	}
	count := 0
	for _, group := range result.Groups {
		for _, rule := range group.Rules {
			count++
			var name, message string
			var health promv1.RuleHealth
			var last time.Time
			switch rule := rule.(type) {
			case promv1.RecordingRule:
				name, message, health, last = rule.Name, rule.LastError, rule.Health, rule.LastEvaluation
			case promv1.AlertingRule:
				name, message, health, last = rule.Name, rule.LastError, rule.Health, rule.LastEvaluation
			}
			if health != promv1.RuleHealthGood || message != "" {
				return fmt.Errorf("rule %s is %s: %s", name, health, message)
			}
			if last.Before(after) {
				return fmt.Errorf("rule %s was not evaluated since %s", name, after)
			}
		}
	}
	if count == 0 {
		return errors.New("there are no rules")
	}
	return nil
}

// alerts are the states of the alerts by name and severity.
func (p *prometheus) alerts(ctx context.Context) (map[string]string, error) {
	result, err := p.Rules(ctx, nil)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, group := range result.Groups {
		for _, rule := range group.Rules {
			if alert, ok := rule.(promv1.AlertingRule); ok {
				states[alert.Name+" "+string(alert.Labels["severity"])] = alert.State
			}
		}
	}
	return states, nil
}
