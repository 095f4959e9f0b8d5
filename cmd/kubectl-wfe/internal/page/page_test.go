package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var now = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)

func options() Options {
	return Options{Now: now, Scope: "context prod, namespace production", Flags: []string{"--context=prod"}}
}

func load(t *testing.T, name string) *wfev1.WorkflowExecution {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict(content, wfe); err != nil {
		t.Fatal(err)
	}
	return wfe
}

// document is a parsed page: its texts, the values of its attributes by name, and the number of its elements by name.
type document struct {
	texts      []string
	attributes map[string][]string
	elements   map[string]int
}

// read parses a page as XML, which finds unclosed tags and unquoted values.
func read(t *testing.T, content []byte) document {
	t.Helper()
	d := document{attributes: map[string][]string{}, elements: map[string]int{}}
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v\n%s", err, content)
		}
		switch token := token.(type) {
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				d.texts = append(d.texts, text)
			}
		case xml.StartElement:
			d.elements[token.Name.Local]++
			for _, a := range token.Attr {
				d.attributes[a.Name.Local] = append(d.attributes[a.Name.Local], a.Value)
			}
		}
	}
}

func (d document) has(text string) bool { return strings.Contains(strings.Join(d.texts, " "), text) }

// draw renders an execution's page.
func draw(t *testing.T, whole bool, wfe *wfev1.WorkflowExecution, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Execution(&out, whole, wfe, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func drawList(t *testing.T, whole bool, all []*wfev1.WorkflowExecution, f Filter, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := List(&out, whole, all, f, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func drawNotFound(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := NotFound(&out, true, "production", "payment-api-oom", options()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestContentSecurityPolicy verifies that every page is well-formed, has unique ids, and has no inline script or style.
func TestContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	failed, waiting := load(t, "failed"), load(t, "waiting")
	for name, content := range map[string][]byte{
		"List":         drawList(t, true, []*wfev1.WorkflowExecution{failed, waiting}, Filter{Text: "pay"}, options()),
		"EmptyList":    drawList(t, true, nil, Filter{}, options()),
		"NothingFound": drawList(t, true, nil, Filter{Phase: wfev1.PhaseFailed, Text: "x"}, options()),
		"Failed":       draw(t, true, failed, options()),
		"Waiting":      draw(t, true, waiting, options()),
		"Unseen":       draw(t, true, &wfev1.WorkflowExecution{Spec: failed.Spec}, options()),
		"NotFound":     drawNotFound(t),
	} {
		l := read(t, content)
		if l.elements["main"] != 1 || l.elements["html"] != 1 || l.elements["h1"]+l.elements["nav"] == 0 && name != "NotFound" {
			t.Errorf("%s: elements %v", name, l.elements)
		}
		if l.elements["style"] > 0 || l.elements["script"] != 1 || len(l.attributes["src"]) != 1 || len(l.attributes["style"]) > 0 {
			t.Errorf("%s: the policy forbids scripts and styles in the page:\n%s", name, content)
		}
		for attribute := range l.attributes {
			if strings.HasPrefix(attribute, "on") {
				t.Errorf("%s: the policy forbids %s", name, attribute)
			}
		}
		ids := slices.Sorted(slices.Values(l.attributes["id"]))
		if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
			t.Errorf("%s: an id is duplicated: %v", name, ids)
		}
	}
}

// TestMainPart verifies that an update contains exactly the main element of the page.
func TestMainPart(t *testing.T) {
	t.Parallel()
	wfe := load(t, "failed")
	whole, part := draw(t, true, wfe, options()), draw(t, false, wfe, options())
	if !bytes.Contains(whole, part) || !bytes.HasPrefix(part, []byte("<main ")) || !bytes.HasSuffix(part, []byte("</main>")) {
		t.Errorf("the part is:\n%s", part)
	}
}

// TestEscaping verifies that no text of a user or a pod becomes markup.
func TestEscaping(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'`
	wfe := load(t, "failed")
	wfe.Spec.Target.Name, wfe.Spec.ServiceAccountName = evil, evil
	wfe.Labels = map[string]string{wfev1.LabelRetryOf: evil}
	wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", By: evil, Reason: evil}}
	wfe.Status.Failure.Message = evil
	wfe.Status.URL = "javascript:alert(1)"
	for i := range wfe.Status.Steps {
		wfe.Status.Steps[i].Message, wfe.Status.Steps[i].PodName = evil, evil
		wfe.Status.Steps[i].Outputs = []wfev1.Output{{Name: evil, Value: evil}}
	}
	for i := range wfe.Status.Conditions {
		wfe.Status.Conditions[i].Message = evil
	}
	o := options()
	o.Problem, o.Scope = evil, evil
	for name, content := range map[string][]byte{
		"Execution": draw(t, true, wfe, o),
		"List":      drawList(t, true, []*wfev1.WorkflowExecution{wfe}, Filter{}, o),
		"Find":      drawList(t, true, nil, Filter{Text: evil, Phase: evil}, o),
	} {
		l := read(t, content)
		if l.elements["script"] != 1 || l.elements["img"] > 0 || len(l.attributes["onerror"]) > 0 {
			t.Errorf("%s: a value became markup", name)
		}
		if !l.has(evil) {
			t.Errorf("%s: the page does not show the value unchanged", name)
		}
		for _, href := range l.attributes["href"] {
			if strings.HasPrefix(href, "javascript:") {
				t.Errorf("%s: a link runs a script", name)
			}
		}
	}
}

func TestExecution(t *testing.T) {
	t.Parallel()
	l := read(t, draw(t, true, load(t, "failed"), options()))
	for _, want := range []string{
		"✖ payment-api-oom · Failed", "OOMKilled", "main: OOMKilled (exit code 137)", "1 of 1 steps were undone", "What to do next",
		"kubectl wfe retry --context=prod -n production payment-api-oom", "Rollback", "previous-replicas", "Reconciling",
	} {
		if !l.has(want) {
			t.Errorf("the page has no %q:\n%s", want, strings.Join(l.texts, "\n"))
		}
	}
	if !slices.Contains(l.attributes["data-live"], "/live/execution/production/payment-api-oom") {
		t.Errorf("the event streams are %v", l.attributes["data-live"])
	}
	for _, want := range []string{"#step-raise-memory", "https://argo.example/workflows/production/payment-api-oom"} {
		if !slices.Contains(l.attributes["href"], want) {
			t.Errorf("no link leads to %s: %v", want, l.attributes["href"])
		}
	}
}

// many returns executions in a phase; the last one is the newest.
func many(phase wfev1.Phase, count int) []*wfev1.WorkflowExecution {
	all := make([]*wfev1.WorkflowExecution, count)
	for i := range all {
		wfe := &wfev1.WorkflowExecution{}
		wfe.Namespace, wfe.Name = "production", fmt.Sprintf("%s-%d", strings.ToLower(string(phase)), i)
		wfe.UID = "uid-" + wfe.UID
		wfe.CreationTimestamp = metav1.NewTime(now.Add(time.Duration(i-count) * time.Minute))
		wfe.Spec.Target = wfev1.Target{Kind: "Deployment", Name: "payment-api"}
		wfe.Status.Phase = phase
		all[i] = wfe
	}
	return all
}

func namesOn(t *testing.T, content []byte) []string {
	t.Helper()
	var names []string
	for _, href := range read(t, content).attributes["href"] {
		if name, is := strings.CutPrefix(href, "/execution/production/"); is {
			names = append(names, name)
		}
	}
	return names
}

func TestList(t *testing.T) {
	t.Parallel()
	all := slices.Concat(many(wfev1.PhaseCompleted, 2), many(wfev1.PhaseRunning, 1), many(wfev1.PhaseAwaitingApproval, 1), many(wfev1.PhaseFailed, 1))
	all[4].Status.Failure = &wfev1.Failure{Step: "drain", Reason: wfev1.ReasonForbidden, Message: "cannot evict"}
	for name, test := range map[string]struct {
		reason string
		filter Filter
		want   []string
	}{
		"All": {
			reason: "executions that wait for a user come first, finished ones last, newer ones before older ones",
			want:   []string{"awaitingapproval-0", "running-0", "completed-1", "failed-0", "completed-0"},
		},
		"Phase":  {reason: "the filter selects one phase", filter: Filter{Phase: wfev1.PhaseCompleted}, want: []string{"completed-1", "completed-0"}},
		"Text":   {reason: "the text is part of a name, in any case", filter: Filter{Text: "COMPLETED-0"}, want: []string{"completed-0"}},
		"Reason": {reason: "the text is a failure reason", filter: Filter{Text: "forbidden"}, want: []string{"failed-0"}},
		"None":   {reason: "no execution matches", filter: Filter{Text: "nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := namesOn(t, drawList(t, true, all, test.filter, options())); !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", test.reason, got, test.want)
			}
		})
	}
	l := read(t, drawList(t, true, all, Filter{}, options()))
	if !l.has("? 1 · WorkflowExecutions") || !l.has(`Forbidden in step "drain": cannot evict`) || !l.has("Waiting for a user") {
		t.Errorf("the texts of the list are:\n%s", strings.Join(l.texts, "\n"))
	}
	if !slices.Contains(l.attributes["href"], "/?phase=Completed") || slices.Contains(l.attributes["href"], "/?phase=Cancelled") {
		t.Errorf("the filters are not the phases of the executions: %v", l.attributes["href"])
	}
}

// TestListShowsQuestion verifies that the list shows the question of an approval.
func TestListShowsQuestion(t *testing.T) {
	t.Parallel()
	if l := read(t, drawList(t, true, []*wfev1.WorkflowExecution{load(t, "waiting")}, Filter{}, options())); !l.has("ask: Restart payment-api?") {
		t.Errorf("the texts of the list are:\n%s", strings.Join(l.texts, "\n"))
	}
}

func TestLongList(t *testing.T) {
	t.Parallel()
	content := drawList(t, false, many(wfev1.PhaseCompleted, maxListed+5), Filter{}, options())
	if got := len(namesOn(t, content)); got != maxListed {
		t.Errorf("%d executions are listed", got)
	}
	if !read(t, content).has("… and 5 more") {
		t.Error("the list does not count the other executions")
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	at := func(seconds int) *metav1.Time {
		return ptr.To(metav1.NewTime(now.Add(time.Duration(seconds-100) * time.Second)))
	}
	wfe := &wfev1.WorkflowExecution{}
	wfe.Status = wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseRunning, StartTime: at(0),
		Steps: []wfev1.StepStatus{
			{Name: "done", Phase: wfev1.StepCompleted, StartTime: at(10), CompletionTime: at(30)},
			{Name: "runs", Phase: wfev1.StepRunning, StartTime: at(30)},
			{Name: "short", Phase: wfev1.StepCompleted, StartTime: at(100), CompletionTime: at(100)},
			{Name: "later", Phase: wfev1.StepPending},
			{Name: "skipped", Phase: wfev1.StepSkipped, StartTime: at(30), CompletionTime: at(30)},
		},
	}
	want := map[string][3]string{
		"done": {"10.00%", "20.00%", "20s"}, "runs": {"30.00%", "70.00%", "70s"}, "short": {"99.50%", "0.50%", "0s"}, "later": {}, "skipped": {},
	}
	o := options()
	got := o.timeline(wfe)
	for _, row := range got.Rows {
		if has := [3]string{row.X, row.Width, row.Took}; has != want[row.Name] {
			t.Errorf("%s is at %v, want %v", row.Name, has, want[row.Name])
		}
	}
	if len(got.Ticks) != 7 || got.Ticks[1] != (tick{X: "15.00%", Label: "+15s"}) {
		t.Errorf("ticks %v", got.Ticks)
	}

	wfe.Status.Phase, wfe.Status.CompletionTime = wfev1.PhaseFailed, at(200)
	wfe.Status.RollbackSteps = []wfev1.StepStatus{{Name: "done", Phase: wfev1.StepCompleted, StartTime: at(150), CompletionTime: at(180)}}
	got = o.timeline(wfe)
	if undo := got.Undo[0]; undo.ID != "undo-done" || undo.X != "75.00%" || undo.Width != "15.00%" {
		t.Errorf("the rollback is on the same axis, after the steps: %+v", undo)
	}
	if got.Rows[0].X != "5.00%" {
		t.Errorf("the axis ends with the execution: %+v", got.Rows[0])
	}
}

// TestTicks verifies the number of ticks on an axis of any length.
func TestTicks(t *testing.T) {
	t.Parallel()
	for length := time.Second; length < 100*24*time.Hour; length = length*3/2 + time.Second {
		if n := len((span{from: now, to: now.Add(length)}).ticks()); n < 1 || n > maxTicks || n < 3 && length > 5*time.Second {
			t.Errorf("%d ticks on an axis of %s", n, length)
		}
	}
}
