package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func verifyAlert() contract.Action {
	stable := stableParameter()
	stable.Default = "60"
	stable.Description = "For how many seconds no such alert may fire; at least one evaluation interval of its rule."
	return contract.Action{
		Name: "verify-alert",
		Summary: "Waits until no alert with the given matchers fires in Alertmanager, silenced alerts included, " +
			"and fails if one fires after wait-seconds, or again within stable-seconds.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			urlParameter("Alertmanager"),
			{
				Name: "matchers", Required: true, Check: alertMatchers,
				Description: "The labels of the alerts, like alertname=KubePodCrashLooping,namespace=production; also with !=, =~ and !~.",
			},
			stable, contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" if no alert fired when last observed, otherwise "false".`},
			{Name: "firing", Description: "The number of alerts that fired when last observed."},
		},
		Run: runVerifyAlert,
	}
}

var alertMatcher = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"?([^"]*)"?\s*$`)

func alertMatchers(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		if !alertMatcher.MatchString(word) {
			return errors.New("must be matchers like alertname=KubePodCrashLooping,namespace=production")
		}
	}
	return nil
}

func runVerifyAlert(ctx context.Context, s *contract.Step) error {
	query := url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}}
	for word := range strings.SplitSeq(s.String("matchers"), ",") {
		m := alertMatcher.FindStringSubmatch(word)
		query.Add("filter", m[1]+m[2]+strconv.Quote(m[3]))
	}
	address := strings.TrimRight(s.String("url"), "/") + "/api/v2/alerts?" + query.Encode()
	client := &http.Client{Timeout: 10 * time.Second, Transport: monitoringTransport()}
	p := &progress{s: s, kind: "alerts", name: s.String("matchers"), advice: "read them at " + s.String("url")}
	read := func(ctx context.Context) (int, error) { return countAlerts(ctx, client, address) }
	healthy, firing := false, ""
	assess := func(n int) (verdict, error) {
		healthy, firing = n == 0, strconv.Itoa(n)
		return verdict{done: healthy, missing: firing + " of them fire", numbers: []any{"firing", n}}, nil
	}
	return errors.Join(observeHealth(ctx, s, p, poll(p, monitoringInterval, read), assess),
		s.Output("healthy", strconv.FormatBool(healthy)), s.Output("firing", firing))
}

func countAlerts(ctx context.Context, client *http.Client, address string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("alertmanager does not respond: %w", errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusBadRequest {
		reason, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		return 0, contract.Invalid("parameter matchers: %s", strings.TrimSpace(string(reason)))
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("alertmanager responded with status %d", response.StatusCode)
	}
	var alerts []json.RawMessage
	if err := json.NewDecoder(io.LimitReader(response.Body, 16<<20)).Decode(&alerts); err != nil {
		return 0, fmt.Errorf("alertmanager responded with invalid JSON: %w", err)
	}
	return len(alerts), nil
}
