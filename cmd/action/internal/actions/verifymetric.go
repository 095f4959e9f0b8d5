package actions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// monitoringInterval is the time between two requests to Prometheus or Alertmanager.
const monitoringInterval = 5 * time.Second

func verifyMetric() contract.Action {
	return contract.Action{
		Name: "verify-metric",
		Summary: "Evaluates a PromQL query and waits until every value of its result satisfies a comparison, " +
			"and fails if it does not become true, or does not stay true for stable-seconds.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			urlParameter("Prometheus"),
			{Name: "query", Description: "The PromQL query; its result is a scalar or an instant vector.", Required: true, Base64: true},
			{
				Name: "operator", Description: "The comparison of each value with the parameter value.", Required: true,
				Enum: []string{"==", "!=", "<", "<=", ">", ">="},
			},
			{Name: "value", Description: "The number to compare with.", Required: true, Check: number},
			{
				Name: "when-empty", Default: "wait", Enum: []string{"wait", "pass"},
				Description: "Whether a result without values satisfies the comparison. Use pass for the expression of an alert.",
			},
			stableParameter(), contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" if the comparison was satisfied when last evaluated, otherwise "false".`},
			{Name: "value", Description: "The value that was evaluated last; of several, the first one that does not satisfy the comparison."},
		},
		Run: runVerifyMetric,
	}
}

func urlParameter(server string) contract.Parameter {
	return contract.Parameter{Name: "url", Description: "The URL of " + server + ", like http://" + "monitoring.example:9090.", Required: true, Check: serverURL}
}

func serverURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("must be a URL with scheme http or https, without credentials")
	}
	return nil
}

func number(value string) error {
	if _, err := strconv.ParseFloat(value, 64); err != nil {
		return errors.New("must be a number")
	}
	return nil
}

// dryRunWatch bounds the wait for one response in a dry run.
const dryRunWatch = 10 * time.Second

// monitoringTransport keeps no connections, because a step sends few requests.
func monitoringTransport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 10 * time.Second}
}

func runVerifyMetric(ctx context.Context, s *contract.Step) error {
	client, err := api.NewClient(api.Config{Address: s.String("url"), RoundTripper: monitoringTransport()})
	if err != nil {
		return contract.Invalid("parameter url: %w", err)
	}
	server := prometheus.NewAPI(client)
	p := &progress{s: s, kind: "query", name: s.String("query"), advice: "evaluate the query at " + s.String("url")}
	read := func(ctx context.Context) ([]float64, error) {
		result, _, _, err := server.Query(ctx, s.String("query"), time.Now())
		if failure, ok := errors.AsType[*prometheus.Error](err); ok && failure.Type == prometheus.ErrBadData {
			return nil, contract.Invalid("parameter query: %s", failure.Msg)
		}
		if err != nil {
			return nil, fmt.Errorf("prometheus does not respond: %w", err)
		}
		return valuesOf(result)
	}
	healthy, last := false, ""
	assess := func(values []float64) (verdict, error) {
		v := compareValues(s, values, &last)
		healthy = v.done
		return v, nil
	}
	return errors.Join(observeHealth(ctx, s, p, poll(p, monitoringInterval, read), assess),
		s.Output("healthy", strconv.FormatBool(healthy)), s.Output("value", last))
}

// observeHealth waits for health as awaitStable does. A dry run assesses the present state once and does not fail because of
// it: earlier steps have changed nothing.
func observeHealth[O any](ctx context.Context, s *contract.Step, p *progress, watch observer[O], assess func(O) (verdict, error)) error {
	if !s.DryRun {
		return awaitStable(ctx, s, p, verdict{missing: "no response was received"}, watch, assess)
	}
	err := watch(ctx, dryRunWatch, func(o O) (bool, error) {
		_, err := assess(o)
		return true, err
	})
	return p.end(ctx, err)
}

func valuesOf(result model.Value) ([]float64, error) {
	switch r := result.(type) {
	case *model.Scalar:
		return []float64{float64(r.Value)}, nil
	case model.Vector:
		values := make([]float64, len(r))
		for i, sample := range r {
			values[i] = float64(sample.Value)
		}
		return values, nil
	default:
		return nil, contract.Invalid("parameter query: the result is a %s, not a scalar or an instant vector", result.Type())
	}
}

func compareValues(s *contract.Step, values []float64, last *string) verdict {
	*last = ""
	if len(values) == 0 {
		return verdict{done: s.String("when-empty") == "pass", missing: "the result has no values"}
	}
	// The parameter's Check has parsed it.
	bound, _ := strconv.ParseFloat(s.String("value"), 64)
	for _, value := range values {
		*last = strconv.FormatFloat(value, 'g', -1, 64)
		if !satisfies(value, s.String("operator"), bound) {
			return verdict{missing: fmt.Sprintf("the value is %s, not %s %s", *last, s.String("operator"), s.String("value")), numbers: []any{"value", value}}
		}
	}
	return verdict{done: true}
}

func satisfies(value float64, operator string, bound float64) bool {
	switch operator {
	case "==":
		return value == bound
	case "!=":
		return value != bound
	case "<":
		return value < bound
	case "<=":
		return value <= bound
	case ">":
		return value > bound
	default:
		return value >= bound
	}
}
