package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/browser"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// sample is a sample file with the number of its steps and dependencies.
type sample struct {
	file         string
	steps, edges int
}

// samples returns the sample files with a single execution.
func samples(t *testing.T, root string) []sample {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found []sample
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wfe := &wfev1.WorkflowExecution{}
		if strings.Contains(string(content), "\n---\n") || yaml.Unmarshal(content, wfe) != nil || wfe.Kind != wfev1.Kind {
			continue
		}
		s := sample{file: file, steps: len(wfe.Spec.Steps)}
		for i := range wfe.Spec.Steps {
			s.edges += len(wfe.Spec.Steps[i].DependsOn)
		}
		found = append(found, s)
	}
	if len(found) < 5 {
		t.Fatalf("only %d samples: %v", len(found), found)
	}
	return found
}

// program builds the plugin.
func program(t *testing.T) (root, binary string) {
	t.Helper()
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), "kubectl-wfe")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/kubectl-wfe")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return root, binary
}

// draw writes a sample's graph in a format.
func draw(t *testing.T, root, binary, file, format string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), binary, "graph", "-o", format, "-f", file,
		"--catalog", filepath.Join(root, "config", "samples", "actions")).Output()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return string(output)
}

// TestGraphviz draws the graphs of the samples with dot.
func TestGraphviz(t *testing.T) {
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Fatalf("%v; make test-page installs dot", err)
	}
	root, binary := program(t)
	for _, s := range samples(t, root) {
		cmd := exec.CommandContext(t.Context(), dot, "-Tplain")
		cmd.Stdin = strings.NewReader(draw(t, root, binary, s.file, "dot"))
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", s.file, err, output)
			continue
		}
		if nodes, edges := strings.Count(string(output), "\nnode "), strings.Count(string(output), "\nedge "); nodes != s.steps || edges != s.edges {
			t.Errorf("%s: dot draws %d nodes and %d edges, want %d and %d", s.file, nodes, edges, s.steps, s.edges)
		}
	}
}

// mermaidVariable is the environment variable with the path of mermaid.min.js.
const mermaidVariable = "MERMAID"

// TestMermaid draws the graphs of the samples with Mermaid in a browser.
func TestMermaid(t *testing.T) {
	library := os.Getenv(mermaidVariable)
	if library == "" {
		t.Fatalf("%s must be the path of mermaid.min.js; make test-page sets it", mermaidVariable)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mermaid.js" {
			http.ServeFile(w, r, library)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>Mermaid</title><script src="/mermaid.js"></script><script>mermaid.initialize({startOnLoad: false})</script>`)
	}))
	defer server.Close()
	root, binary := program(t)
	tab := browser.Open(t)
	tab.Do(chromedp.Navigate(server.URL))
	for i, s := range samples(t, root) {
		text, err := json.Marshal(draw(t, root, binary, s.file, "mermaid"))
		if err != nil {
			t.Fatal(err)
		}
		var counts string
		script := fmt.Sprintf(`mermaid.render("picture%d", %s).then(({svg}) => {
			const picture = new DOMParser().parseFromString(svg, "text/html");
			return picture.querySelectorAll("g.node").length + " " + picture.querySelectorAll("path.flowchart-link").length;
		}, (error) => String(error))`, i, text)
		tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
			return chromedp.Evaluate(script, &counts, chromedp.EvalAsValue, awaited).Do(ctx)
		}))
		if want := fmt.Sprintf("%d %d", s.steps, s.edges); counts != want {
			t.Errorf("%s: Mermaid draws %s nodes and edges, want %s", s.file, counts, want)
		}
	}
	if messages := tab.TakeErrors(); len(messages) > 0 {
		t.Errorf("browser errors: %v", messages)
	}
}

// awaited makes an evaluation wait for its promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
