package dashboard

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const token = "a-secret-token"

// site is a dashboard that listens on the loopback.
type site struct {
	*httptest.Server
	store *Store
	now   time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Server: httptest.NewUnstartedServer(nil), store: NewStore(), now: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)}
	s.Config.Handler = New(Settings{
		Store: s.store, Hosts: []string{s.Listener.Addr().String()}, Token: token, Scope: "namespace production",
		Now: func() time.Time { return s.now },
	})
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// browser returns a client that has exchanged the token for the cookie.
func (s *site) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: s.Client().Transport}
	status, body, where := get(t, client, s.URL+"/?token="+token)
	if status != http.StatusOK || strings.Contains(where.String(), token) || strings.Contains(body, token) {
		t.Fatalf("%d at %s: %s", status, where, body)
	}
	return client
}

func get(t *testing.T, client *http.Client, address string) (status int, body string, where *url.URL) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content), response.Request.URL
}

func execution(name string, phase wfev1.Phase) *wfev1.WorkflowExecution {
	wfe := &wfev1.WorkflowExecution{}
	wfe.Namespace, wfe.Name = "production", name
	wfe.Spec.Steps = []wfev1.Step{{Name: "drain", Action: "drain-node"}}
	wfe.Status.Phase = phase
	return wfe
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store.Put(execution("oom", wfev1.PhaseFailed))
	s.store.Put(execution("gone", wfev1.PhaseFailed))
	s.store.Remove("production", "gone")
	client := s.browser(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                               {200, `href="/execution/production/oom"`},
		"/?phase=Completed":               {200, "No execution matches"},
		"/execution/production/oom":       {200, "kubectl wfe retry -n production oom"},
		"/execution/production/gone":      {404, "It was deleted"},
		"/execution/production/%3Cb%3E":   {404, "&lt;b&gt;"},
		"/assets/style.css":               {200, "--back"},
		"/assets/script.js":               {200, "EventSource"},
		"/assets/icon.svg":                {200, "<svg"},
		"/assets/../../../../etc/passwd":  {404, ""},
		"/nothing":                        {404, ""},
		"/execution/production/oom/other": {404, ""},
	} {
		status, body, _ := get(t, client, s.URL+path)
		if status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d, want %d and %q:\n%s", path, status, want.status, want.text, body)
		}
	}
	s.store.Report("the API server cannot be reached")
	if _, body, _ := get(t, client, s.URL); !strings.Contains(body, "the API server cannot be reached") {
		t.Errorf("the page does not report the problem:\n%s", body)
	}
}

// TestAuthentication sends requests that must be rejected, and valid ones.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store.Put(execution("oom", wfev1.PhaseFailed))
	host := s.Listener.Addr().String()
	for name, test := range map[string]struct {
		reason             string
		method, host, path string
		cookie             string
		want               int
	}{
		"Good":       {"a request with the cookie", http.MethodGet, host, "/", token, http.StatusOK},
		"Head":       {"a request for the headers", http.MethodHead, host, "/", token, http.StatusOK},
		"Rebinding":  {"another name that resolves to this machine", http.MethodGet, "evil.example", "/", token, http.StatusMisdirectedRequest},
		"OtherPort":  {"another port", http.MethodGet, "127.0.0.1:1", "/", token, http.StatusMisdirectedRequest},
		"NoHost":     {"an empty host", http.MethodGet, "", "/", token, http.StatusMisdirectedRequest},
		"Stranger":   {"a request without the cookie", http.MethodGet, host, "/", "", http.StatusUnauthorized},
		"Guess":      {"a request with a wrong cookie", http.MethodGet, host, "/", "a-secret-toke", http.StatusUnauthorized},
		"GuessToken": {"a request with a wrong token", http.MethodGet, host, "/?token=x", "", http.StatusUnauthorized},
		"Live":       {"an event stream needs the cookie", http.MethodGet, host, "/live/", "", http.StatusUnauthorized},
		"Asset":      {"an asset needs the cookie", http.MethodGet, host, "/assets/style.css", "", http.StatusUnauthorized},
		"Write":      {"the server is read-only", http.MethodPost, host, "/", token, http.StatusMethodNotAllowed},
		"Delete":     {"the server is read-only", http.MethodDelete, host, "/execution/production/oom", token, http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // an accepted stream does not end by itself
			defer cancel()
			request := httptest.NewRequestWithContext(ctx, test.method, "http://"+host+test.path, nil)
			request.Host = test.host
			if test.cookie != "" {
				_, port, _ := strings.Cut(host, ":")
				request.AddCookie(&http.Cookie{Name: "kubectl-wfe-" + port, Value: test.cookie})
			}
			answer := httptest.NewRecorder()
			s.Config.Handler.ServeHTTP(answer, request)
			if answer.Code != test.want {
				t.Errorf("%s: %d, want %d", test.reason, answer.Code, test.want)
			}
			if test.want != http.StatusOK && strings.Contains(answer.Body.String(), "oom") {
				t.Errorf("%s: the response contains an execution: %s", test.reason, answer.Body)
			}
			header := answer.Result().Header
			if p := header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none';") || strings.Contains(p, "unsafe") {
				t.Errorf("the policy is %q", p)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
				if got := header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
		})
	}
}

// TestToken verifies that the redirect stays on this server and removes the token.
func TestToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for path, want := range map[string]string{
		"/?token=" + token:                          "/",
		"/?phase=Failed&token=" + token:             "/?phase=Failed",
		"/execution/production/oom?token=" + token:  "/execution/production/oom",
		"//evil.example/?token=" + token:            "/evil.example/",
		`/%5Cevil.example?token=` + token:           `/%5Cevil.example`,
		"/execution/a%2Fb/c?phase=x&token=" + token: "/execution/a%2Fb/c?phase=x",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		parsed, err := url.Parse(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		request.URL, request.Host = parsed, parsed.Host
		answer := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(answer, request)
		if got := answer.Header().Get("Location"); answer.Code != http.StatusSeeOther || got != want {
			t.Errorf("%s: %d to %q, want %q", path, answer.Code, got, want)
		}
		cookie := answer.Header().Get("Set-Cookie")
		for _, attribute := range []string{"HttpOnly", "SameSite=Lax"} {
			if !strings.Contains(cookie, attribute) {
				t.Errorf("the cookie is %q", cookie)
			}
		}
	}
}

// stream reads the event stream of a page.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	body  io.Closer
}

func (s *site) open(t *testing.T, ctx context.Context, path string) *stream { //nolint:revive // a test's first parameter is t
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.browser(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%s: %s, %s", path, response.Status, got)
	}
	return &stream{t: t, lines: bufio.NewScanner(response.Body), body: response.Body}
}

// next returns the data of the next event.
func (s *stream) next() string {
	s.t.Helper()
	var data []string
	for s.lines.Scan() {
		line := s.lines.Text()
		if value, is := strings.CutPrefix(line, "data: "); is {
			data = append(data, value)
		}
		if line == "" {
			return strings.Join(data, "\n")
		}
	}
	s.t.Fatalf("the stream has ended: %v", s.lines.Err())
	return ""
}

func (s *stream) has(want string) {
	s.t.Helper()
	if got := s.next(); !strings.Contains(got, want) || !strings.HasPrefix(got, "<main ") || !strings.HasSuffix(got, "</main>") {
		s.t.Fatalf("the event has no %q:\n%s", want, got)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	list, one := s.open(t, ctx, "/live/"), s.open(t, ctx, "/live/execution/production/oom")
	list.has("No executions yet")
	one.has("not found in namespace")

	s.store.Put(execution("oom", wfev1.PhaseRunning))
	list.has(" Running</span>")
	one.has("kubectl wfe cancel -n production oom")

	s.store.Put(execution("other", wfev1.PhaseRunning))
	list.has("other")

	// The change of the other execution sends nothing to the second page: its next event is about its own change.
	s.store.Put(execution("oom", wfev1.PhaseFailed))
	one.has("kubectl wfe retry -n production oom")

	s.store.Report("the API server cannot be reached")
	one.has("the API server cannot be reached")
	s.store.Report("")
	s.store.Remove("production", "oom")
	for !strings.Contains(one.next(), "not found in namespace") { // the two changes can arrive as one event
	}
}

// TestLiveTimes verifies that durations advance without a change in the cluster.
func TestLiveTimes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	wfe := execution("oom", wfev1.PhaseRunning)
	s.store.Put(wfe)
	settings := Settings{Store: s.store, Hosts: []string{"h:1"}, Token: token}
	calls := 0
	settings.Now = func() time.Time {
		calls++ // there is one request at a time
		return wfe.CreationTimestamp.Add(time.Duration(calls) * time.Hour)
	}
	request := httptest.NewRequest(http.MethodGet, "http://h:1/live/", nil)
	request.AddCookie(&http.Cookie{Name: "kubectl-wfe-1", Value: token})
	ctx, cancel := context.WithTimeout(request.Context(), 20*time.Second)
	defer cancel()
	answer := &counting{ResponseRecorder: httptest.NewRecorder(), enough: cancel}
	New(settings).ServeHTTP(answer, request.WithContext(ctx))
	if body := answer.Body.String(); !strings.Contains(body, ">1h<") && !strings.Contains(body, ">60m<") || strings.Count(body, "event: main") != 2 {
		t.Errorf("%s", body)
	}
}

// counting cancels a stream after its second event.
type counting struct {
	*httptest.ResponseRecorder
	enough  context.CancelFunc
	flushed int
}

func (c *counting) Flush() {
	if c.flushed++; c.flushed == 2 {
		c.enough()
	}
}

// TestStreamEnds verifies that an open page does not keep the program running.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := s.open(t, ctx, "/live/")
	stream.has("<main ")
	cancel()
	for stream.lines.Scan() {
	}
	if stream.lines.Err() == nil {
		t.Error("the stream did not end")
	}
}
