package dashboard

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/browser"
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/cluster"
)

// site is a running dashboard.
type site struct {
	*cluster.Cluster
	*url.URL
	process *exec.Cmd
}

// at returns the address of a path, without the token.
func (s *site) at(path string) string { return "http://" + s.Host + path }

// serve builds the plugin and starts the dashboard.
func serve(t *testing.T, w *cluster.Cluster) *site {
	t.Helper()
	process := exec.Command(w.Build(t, "./cmd/kubectl-wfe"), "dashboard")
	process.Env = append(os.Environ(), "KUBECONFIG="+w.UserKubeconfig(t))
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s := &site{Cluster: w, process: process}
	t.Cleanup(s.stop)
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the dashboard printed no address: %v", lines.Err())
	}
	if s.URL, err = url.Parse(lines.Text()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) stop() {
	_ = s.process.Process.Signal(os.Interrupt) // an error means that it has already exited
	_ = s.process.Wait()
}

func deployment(wfe *wfev1.WorkflowExecution, name string) *wfev1.WorkflowExecution {
	wfe.Spec.Target.Name = name
	return wfe
}

// populate creates executions in every phase.
func populate(t *testing.T, w *cluster.Cluster) {
	t.Helper()
	create := func(wfe *wfev1.WorkflowExecution, steps ...wfev1.Step) {
		t.Helper()
		wfe.Spec.Steps = steps
		if err := w.Admin.Create(t.Context(), wfe); err != nil {
			t.Fatal(err)
		}
	}
	scale := cluster.Step("scale-up", "scale-deployment", "deployment", "payment-api", "replicas", "5")
	undo := scale
	undo.Rollback = &wfev1.Rollback{Action: "scale-deployment", Parameters: []wfev1.Parameter{
		{Name: "deployment", Value: ptr.To("payment-api")},
		{Name: "replicas", ValueFrom: &wfev1.OutputReference{Step: "scale-up", Output: "previous-replicas"}},
	}}
	restart := cluster.Step("restart", "restart-deployment", "deployment", "payment-api")
	memory := func(name string) wfev1.Step {
		return cluster.Step(name, "set-resources", "deployment", "payment-api", "memory-limit", "2Gi")
	}
	verify := cluster.Step("verify", "verify-deployment", "deployment", "payment-api")

	create(deployment(cluster.Execution("payment-api-oom"), "payment-api"), undo, cluster.After(restart, "scale-up"),
		cluster.After(memory("fail-raise-memory"), "scale-up"), cluster.After(verify, "restart", "fail-raise-memory"))
	w.WaitPhase(t, "payment-api-oom", wfev1.PhaseFailed)
	create(deployment(cluster.Execution("checkout-restart"), "checkout"), restart, cluster.After(verify, "restart"))
	w.WaitPhase(t, "checkout-restart", wfev1.PhaseCompleted)
	create(deployment(cluster.Execution("unknown-action"), "cart"), cluster.Step("only", "no-such-action"))
	w.WaitPhase(t, "unknown-action", wfev1.PhaseFailed)
	create(deployment(cluster.Execution("billing-failover"), "billing"), scale, cluster.After(wfev1.Step{
		Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "Fail over to the other region?", TimeoutSeconds: ptr.To[int32](3600)},
	}, "scale-up"), cluster.After(restart, "ask"), cluster.After(verify, "restart"))
	w.WaitPhase(t, "billing-failover", wfev1.PhaseAwaitingApproval)
	create(deployment(cluster.Execution("search-scale-up"), "search"), scale, cluster.After(memory("hang-raise-memory"), "scale-up"),
		cluster.After(restart, "scale-up"), cluster.After(verify, "restart", "hang-raise-memory"))
	w.Wait(t, "search-scale-up", "half done", func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.Progress == "2/4" })
	locked := deployment(cluster.Execution("search-drain"), "search")
	create(locked, cluster.Step("drain", "drain-node", "node", "worker-1"))
	w.WaitPhase(t, "search-drain", wfev1.PhasePending)
}

// TestDashboard follows an engineer on call through the pages.
func TestDashboard(t *testing.T) {
	w := cluster.Start(t)
	populate(t, w)
	s := serve(t, w)
	tab := browser.Open(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *site, *browser.Tab)
	}{
		{"Unauthenticated", unauthenticated}, {"List", list}, {"Search", search}, {"Failed", failed}, {"Live", live},
		{"Decision", decision}, {"Contrast", contrast}, {"Shutdown", shutdown},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, s, tab.For(t)) }) {
			return // each step continues from the state of the previous one
		}
		if messages := tab.TakeErrors(); len(messages) > 0 && step.name != "Shutdown" {
			t.Fatalf("%s: browser errors: %v", step.name, messages)
		}
	}
}

// unauthenticated opens the dashboard without the token, and through a name that an attacker points at this machine.
func unauthenticated(t *testing.T, s *site, _ *browser.Tab) {
	tab := browser.Open(t, browser.MapHost("evil.example"))
	for _, address := range []string{s.at("/"), "http://evil.example:" + s.Port() + "/?" + s.RawQuery} {
		tab.Do(chromedp.Navigate(address))
		if text := tab.Text("document.body.innerText"); strings.Contains(text, "payment-api") || !strings.Contains(text, "kubectl wfe dashboard") {
			t.Errorf("%s serves %s", address, text)
		}
	}
}

func list(t *testing.T, s *site, tab *browser.Tab) {
	tab.Dark(false)
	tab.Visit(s.String())
	if here := tab.Text("location.href"); here != s.at("/") {
		t.Errorf("the address still has the token: %s", here)
	}
	rows := strings.Split(tab.Text(`[...document.querySelectorAll("a.row")].map((a) => a.innerText).join(" ")`), " ")
	want := []string{"billing-failover", "search-drain", "search-scale-up", "unknown-action", "checkout-restart", "payment-api-oom"}
	if !slices.Equal(rows, want) {
		t.Errorf("the list has %v, want %v", rows, want)
	}
	if title := tab.Text("document.title"); title != "? 1 · WorkflowExecutions" {
		t.Errorf("the title is %q", title)
	}
	tab.Screenshot("list")
}

// search searches the list and opens the result with the keyboard alone.
func search(t *testing.T, s *site, tab *browser.Tab) {
	tab.Shortcut("/")
	tab.Do(chromedp.KeyEvent("OOMKilled"), chromedp.KeyEvent(kb.Enter))
	tab.Await(`location.search === "?q=OOMKilled" && document.querySelectorAll("a.row").length === 1`)
	for range 12 {
		if strings.HasPrefix(tab.Focus(), "row: ") {
			break
		}
		tab.Press(kb.Tab, 1)
	}
	if focus := tab.Focus(); focus != "row: payment-api-oom" {
		t.Fatalf("the focus is on %q", focus)
	}
	tab.Press(kb.Enter, 1)
	tab.Await(`location.pathname === "/execution/production/payment-api-oom"`)
	tab.Await(`document.getElementById("link").className === "link on"`)
}

// failed checks the page of an execution that failed and was rolled back.
func failed(t *testing.T, s *site, tab *browser.Tab) {
	text := tab.Text("document.body.innerText")
	for _, want := range []string{
		"OOMKilled in step fail-raise-memory", "Rollback:", "kubectl wfe retry --context=prod -n production payment-api-oom",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q:\n%s", want, text)
		}
	}
	// The rollback step is on the same axis as the step, after it.
	later := `((a, b) => b.getBoundingClientRect().left >= a.getBoundingClientRect().right - 2)` +
		`(document.querySelector("#step-scale-up rect.fill"), document.querySelector("#undo-scale-up rect.fill"))`
	if tab.Text(later) != "true" {
		t.Error("the rollback is not after the step in the timeline")
	}
	if got := tab.Text(`document.querySelectorAll(".graph g.step").length + " " + document.querySelectorAll(".graph .edge").length`); got != "4 4" {
		t.Errorf("the graph has %s steps and edges", got)
	}
	tab.Screenshot("failed")
	tab.Do(chromedp.Click(`.graph a[href="#step-restart"]`, chromedp.ByQuery))
	tab.Await(`location.hash === "#step-restart" && document.querySelector("tr:target").id === "step-restart"`)
	tab.Do(chromedp.Click("button[data-copy]", chromedp.ByQuery))
	tab.Await(`["Copied", "Selected"].includes(document.querySelector("button[data-copy]").innerText)`)
}

// live follows an execution until it finishes, without a reload of the page.
func live(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/execution/production/search-scale-up"))
	tab.Screenshot("running")
	before := tab.Text(`document.querySelector("#step-hang-raise-memory .number").innerText`)
	tab.Text(`window.mark = "still here", document.querySelector("#graph").dataset.mark = "x"`)
	tab.Await(fmt.Sprintf(`document.querySelector("#step-hang-raise-memory .number").innerText !== %q`, before))
	s.Release(t, "search-scale-up")
	tab.Await(`document.querySelector(".title .phase").innerText.includes("Completed")`)
	if mark := tab.Text("window.mark"); mark != "still here" {
		t.Error("the page was reloaded")
	}
	if title := tab.Text("document.title"); !strings.HasPrefix(title, "✔ search-scale-up") {
		t.Errorf("the title is %q", title)
	}
	tab.Screenshot("completed")
}

// decision approves a step from another client while a row has the focus, which stays on the row.
func decision(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/execution/production/billing-failover"))
	tab.Screenshot("waiting")
	tab.Visit(s.at("/"))
	row := tab.Text(`(() => { const row = [...document.querySelectorAll("a.row")].find((a) => a.innerText === "billing-failover"); row.focus(); return row.closest("tbody").id; })()`)
	if row != "waiting" {
		t.Fatalf("the row is in group %q", row)
	}
	s.Change(t, "billing-failover", func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "the region is gone"}}
	})
	tab.Await(`[...document.querySelectorAll("#finished a.row")].some((a) => a.innerText === "billing-failover")`)
	if focus := tab.Focus(); focus != "row: billing-failover" {
		t.Errorf("after the row moved, the focus is on %q", focus)
	}
}

// contrast checks the contrast of every text in the light and the dark color scheme.
func contrast(t *testing.T, s *site, tab *browser.Tab) {
	backgrounds := map[string]bool{}
	for _, dark := range []bool{false, true} {
		tab.Dark(dark)
		for name, path := range map[string]string{"list": "/", "failed": "/execution/production/payment-api-oom", "decided": "/execution/production/billing-failover"} {
			tab.Visit(s.at(path))
			if texts := tab.LowContrast(); texts != "" {
				t.Errorf("%s, dark %t: low contrast:\n%s", name, dark, texts)
			}
			if dark {
				tab.Screenshot(name + "-dark")
			}
		}
		backgrounds[tab.Text("getComputedStyle(document.body).backgroundColor")] = true
	}
	if len(backgrounds) != 2 {
		t.Errorf("the background colors are %v", backgrounds)
	}
}

// shutdown stops the program: the page reports the lost connection.
func shutdown(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/"))
	s.stop()
	tab.Await(`document.getElementById("link").innerText.startsWith("not connected since ")`)
	tab.Screenshot("end-dark")
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, with a page open", code)
	}
}
