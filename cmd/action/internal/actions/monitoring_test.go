package actions

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// monitoring serves the APIs of Prometheus and Alertmanager. result and alerts are called for each request.
func monitoring(t *testing.T, result, alerts func(n int32, r *http.Request) (int, string)) string {
	t.Helper()
	var requests atomic.Int32
	mux := http.NewServeMux()
	serve := func(path string, respond func(int32, *http.Request) (int, string)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			status, body := respond(requests.Add(1), r)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	serve("/api/v1/query", result)
	serve("/api/v2/alerts", alerts)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func vector(values ...string) (int, string) {
	samples := make([]string, len(values))
	for i, v := range values {
		samples[i] = fmt.Sprintf(`{"metric":{"pod":"p%d"},"value":[1,%q]}`, i, v)
	}
	return http.StatusOK, `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
}

func TestVerifyMetric(t *testing.T) {
	t.Parallel()
	target := map[string]string{"query": encode("error_rate"), "operator": "<", "value": "0.05", "wait-seconds": "7"}
	cases := map[string]struct {
		reason     string
		respond    func(n int32, r *http.Request) (int, string)
		parameters map[string]string
		want       result
	}{
		"Below": {
			reason: "every value has to satisfy it", respond: func(int32, *http.Request) (int, string) { return vector("0.01", "0.02") }, parameters: target,
			want: result{Outputs: map[string]string{"healthy": "true", "value": "0.02"}},
		},
		"OneAbove": {
			reason: "the message contains the value", respond: func(int32, *http.Request) (int, string) { return vector("0.01", "0.5") }, parameters: target,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "the value is 0.5, not < 0.05 after 7s; evaluate the query at http://", Outputs: map[string]string{"healthy": "false", "value": "0.5"}},
		},
		"Recovers": {
			reason: "it waits", parameters: target, want: result{Outputs: map[string]string{"healthy": "true", "value": "0.01"}},
			respond: func(n int32, _ *http.Request) (int, string) {
				if n < 2 {
					return vector("0.5")
				}
				return vector("0.01")
			},
		},
		"Empty": {
			reason: "no value is not a small value", respond: func(int32, *http.Request) (int, string) { return vector() }, parameters: with(target, "wait-seconds", "2"),
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "the result has no values", Outputs: map[string]string{"healthy": "false", "value": ""}},
		},
		"EmptyPasses": {
			reason: "the expression of an alert has no values if the alert does not fire", respond: func(int32, *http.Request) (int, string) { return vector() },
			parameters: with(target, "when-empty", "pass"), want: result{Outputs: map[string]string{"healthy": "true", "value": ""}},
		},
		"Flaps": {
			reason: "what does not stay true is not cured", parameters: with(target, "stable-seconds", "6", "wait-seconds", "1"),
			respond: func(n int32, _ *http.Request) (int, string) {
				if n == 1 {
					return vector("0.01")
				}
				return vector("0.5")
			},
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "the value is 0.5", Outputs: map[string]string{"healthy": "false", "value": "0.5"}},
		},
		"BadQuery": {
			reason: "no retry helps", parameters: target,
			respond: func(int32, *http.Request) (int, string) {
				return http.StatusBadRequest, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}`
			},
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter query: parse error", Outputs: map[string]string{"healthy": "false", "value": ""}},
		},
		"Unavailable": {
			reason: "a server that restarts is asked again", parameters: target, want: result{Outputs: map[string]string{"healthy": "true", "value": "0.01"}},
			respond: func(n int32, _ *http.Request) (int, string) {
				if n < 2 {
					return http.StatusServiceUnavailable, "{}"
				}
				return vector("0.01")
			},
		},
		"DryRun": {
			reason: "a dry run reports and does not fail", respond: func(int32, *http.Request) (int, string) { return vector("0.5") }, parameters: with(target, "dry-run", "true"),
			want: result{Outputs: map[string]string{"healthy": "false", "value": "0.5"}},
		},
		"BadURL": {
			reason: "rejected before any request", respond: func(int32, *http.Request) (int, string) { return vector() }, parameters: with(target, "url", "http://user:secret@x"),
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "without credentials"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := monitoring(t, c.respond, notFound404)
			got := newFixture(t).attempt(run{action: "verify-metric", parameters: with(map[string]string{"url": address}, pairs(c.parameters)...)})
			c.want.check(t, c.reason, got)
		})
	}
}

func notFound404(int32, *http.Request) (int, string) { return http.StatusNotFound, "" }

func pairs(m map[string]string) []string {
	var all []string
	for k, v := range m {
		all = append(all, k, v)
	}
	return all
}

func TestVerifyAlert(t *testing.T) {
	t.Parallel()
	target := map[string]string{"matchers": `alertname=KubePodCrashLooping, namespace=~"prod.*"`, "stable-seconds": "0", "wait-seconds": "7"}
	const one = `[{"labels":{"alertname":"KubePodCrashLooping"}}]`
	cases := map[string]struct {
		reason     string
		respond    func(n int32, r *http.Request) (int, string)
		parameters map[string]string
		want       result
	}{
		"Resolved": {
			reason: "the request has the matchers, and includes silenced alerts", parameters: target, want: result{Outputs: map[string]string{"healthy": "true", "firing": "0"}},
			respond: func(_ int32, r *http.Request) (int, string) {
				q := r.URL.Query()
				if strings.Join(q["filter"], " ") == `alertname="KubePodCrashLooping" namespace=~"prod.*"` && q.Get("silenced") == "true" {
					return http.StatusOK, "[]"
				}
				return http.StatusOK, one
			},
		},
		"Resolves": {
			reason: "it waits", parameters: target, want: result{Outputs: map[string]string{"healthy": "true", "firing": "0"}},
			respond: func(n int32, _ *http.Request) (int, string) {
				if n < 2 {
					return http.StatusOK, one
				}
				return http.StatusOK, "[]"
			},
		},
		"Fires": {
			reason: "the message contains the number", respond: func(int32, *http.Request) (int, string) { return http.StatusOK, one }, parameters: target,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of them fire after 7s; read them at http://", Outputs: map[string]string{"healthy": "false", "firing": "1"}},
		},
		"FiresAgain": {
			reason: "one evaluation later it fires again", parameters: with(target, "stable-seconds", "6", "wait-seconds", "1"),
			respond: func(n int32, _ *http.Request) (int, string) {
				if n == 1 {
					return http.StatusOK, "[]"
				}
				return http.StatusOK, one
			},
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of them fire", Outputs: map[string]string{"healthy": "false", "firing": "1"}},
		},
		"BadMatcher": {
			reason: "no retry helps", respond: func(int32, *http.Request) (int, string) { return http.StatusBadRequest, `"bad matcher format"` }, parameters: target,
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "bad matcher format", Outputs: map[string]string{"healthy": "false", "firing": ""}},
		},
		"NoMatcher": {
			reason: "rejected before any request", respond: notFound404, parameters: with(target, "matchers", "firing"),
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "must be matchers like"},
		},
		"DryRun": {
			reason: "a dry run reports and does not fail", respond: func(int32, *http.Request) (int, string) { return http.StatusOK, one }, parameters: with(target, "dry-run", "true"),
			want: result{Outputs: map[string]string{"healthy": "false", "firing": "1"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := monitoring(t, notFound404, c.respond)
			got := newFixture(t).attempt(run{action: "verify-alert", parameters: with(map[string]string{"url": address}, pairs(c.parameters)...)})
			c.want.check(t, c.reason, got)
		})
	}
}
