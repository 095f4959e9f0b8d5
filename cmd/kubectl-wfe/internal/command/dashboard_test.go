package command

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var printedAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\S*\?token=\S+`)

// dashboardProcess is a running dashboard command.
type dashboardProcess struct {
	t       *testing.T
	address *url.URL
	client  *http.Client
	end     context.CancelFunc
	code    chan int
}

// serve starts the dashboard and reads the address that it prints.
func (w *testCluster) serve(args ...string) *dashboardProcess {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	out := &buffer{}
	s := &dashboardProcess{t: w.t, end: end, code: make(chan int, 1)}
	go func() {
		s.code <- Main(ctx, Environment{Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now},
			append([]string{"kubectl-wfe", "dashboard", "--kubeconfig", w.kubeconfig, "-n", w.namespace}, args...))
	}()
	w.t.Cleanup(end)
	deadline := time.After(time.Minute)
	for printedAddress.FindString(out.String()) == "" {
		select {
		case code := <-s.code:
			w.t.Fatalf("the dashboard exited with code %d: %s", code, out)
		case <-deadline:
			w.t.Fatalf("the dashboard printed no address: %s", out)
		case <-time.After(20 * time.Millisecond):
		}
	}
	var err error
	if s.address, err = url.Parse(printedAddress.FindString(out.String())); err != nil {
		w.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar}
	return s
}

func (s *dashboardProcess) get(path string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address.Host+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// until reads a stream until a line contains the text.
func (s *dashboardProcess) until(stream *bufio.Scanner, want string) {
	s.t.Helper()
	for stream.Scan() {
		if strings.Contains(stream.Text(), want) {
			return
		}
	}
	s.t.Fatalf("the stream ended without %q: %v", want, stream.Err())
}

// testDashboard follows an execution through a page, from its creation to its deletion.
func testDashboard(w *testCluster) {
	s := w.serve()
	if response := s.get("/"); response.StatusCode != http.StatusUnauthorized {
		w.t.Errorf("without the token: %s", response.Status)
	}
	page, err := io.ReadAll(s.get(s.address.RequestURI()).Body)
	if err != nil || !strings.Contains(string(page), "namespace "+w.namespace) {
		w.t.Fatalf("%v:\n%s", err, page)
	}
	list := bufio.NewScanner(s.get("/live/").Body)
	one := bufio.NewScanner(s.get("/live/execution/" + w.namespace + "/seen").Body)
	s.until(list, "No executions yet")
	s.until(one, "not found in namespace")

	wfe := w.createSample("seen")
	s.until(list, "/execution/"+w.namespace+"/seen")
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, wfev1.StepCompleted, wfev1.StepAwaitingApproval)
	s.until(list, "Awaiting approval")
	s.until(one, "kubectl wfe approve --kubeconfig="+w.kubeconfig)
	if err := w.admin.Delete(w.t.Context(), wfe, &client.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	s.until(one, "not found in namespace")

	s.end()
	if code := <-s.code; code != exitDone {
		w.t.Errorf("exit code %d after an interrupt, with pages open", code)
	}
}

// testDashboardErrors verifies that the command reports what it cannot show.
func testDashboardErrors(w *testCluster) {
	w.run("dashboard", "nothing").check(w.t, 1, `WorkflowExecution "nothing" not found`)
	w.run("dashboard", "--selector", "=").check(w.t, 1, "error: ")
	w.createSample("named")
	s := w.serve("named")
	if want := "/execution/" + w.namespace + "/named"; s.address.Path != want {
		w.t.Errorf("the path of the address is %s, want %s", s.address.Path, want)
	}
	w.run("dashboard", "--port", s.address.Port()).check(w.t, 1, "address already in use")
}
