package page

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
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/world"
)

// site is a dashboard that runs.
type site struct {
	*world.World
	*url.URL
	process *exec.Cmd
}

// at is an address of the dashboard, without the token.
func (s *site) at(path string) string { return "http://" + s.Host + path }

// serve builds the plugin and lets it serve the dashboard.
func serve(t *testing.T, w *world.World) *site {
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
	s := &site{World: w, process: process}
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
	_ = s.process.Process.Signal(os.Interrupt) // it may have ended by itself
	_ = s.process.Wait()
}

func deployment(wfe *wfev1.WorkflowExecution, name string) *wfev1.WorkflowExecution {
	wfe.Spec.Target.Name = name
	return wfe
}

// populate makes executions of every kind.
func populate(t *testing.T, w *world.World) {
	t.Helper()
	create := func(wfe *wfev1.WorkflowExecution, steps ...wfev1.Step) {
		t.Helper()
		wfe.Spec.Steps = steps
		if err := w.Admin.Create(t.Context(), wfe); err != nil {
			t.Fatal(err)
		}
	}
	scale := world.Step("scale-up", "scale-deployment", "deployment", "payment-api", "replicas", "5")
	undo := scale
	undo.Rollback = &wfev1.Rollback{Action: "scale-deployment", Parameters: []wfev1.Parameter{
		{Name: "deployment", Value: ptr.To("payment-api")},
		{Name: "replicas", ValueFrom: &wfev1.OutputReference{Step: "scale-up", Output: "previous-replicas"}},
	}}
	restart := world.Step("restart", "restart-deployment", "deployment", "payment-api")
	memory := func(name string) wfev1.Step {
		return world.Step(name, "set-resources", "deployment", "payment-api", "memory-limit", "2Gi")
	}
	verify := world.Step("verify", "verify-deployment", "deployment", "payment-api")

	create(deployment(world.Execution("payment-api-oom"), "payment-api"), undo, world.After(restart, "scale-up"),
		world.After(memory("fail-raise-memory"), "scale-up"), world.After(verify, "restart", "fail-raise-memory"))
	w.WaitPhase(t, "payment-api-oom", wfev1.PhaseFailed)
	create(deployment(world.Execution("checkout-restart"), "checkout"), restart, world.After(verify, "restart"))
	w.WaitPhase(t, "checkout-restart", wfev1.PhaseCompleted)
	create(deployment(world.Execution("nobody-home"), "cart"), world.Step("only", "no-such-action"))
	w.WaitPhase(t, "nobody-home", wfev1.PhaseFailed)
	create(deployment(world.Execution("billing-failover"), "billing"), scale, world.After(wfev1.Step{
		Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "Fail over to the other region?", TimeoutSeconds: ptr.To[int32](3600)},
	}, "scale-up"), world.After(restart, "ask"), world.After(verify, "restart"))
	w.WaitPhase(t, "billing-failover", wfev1.PhaseAwaitingApproval)
	create(deployment(world.Execution("search-scale-up"), "search"), scale, world.After(memory("hang-raise-memory"), "scale-up"),
		world.After(restart, "scale-up"), world.After(verify, "restart", "hang-raise-memory"))
	w.Wait(t, "search-scale-up", "half done", func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.Progress == "2/4" })
	locked := deployment(world.Execution("search-drain"), "search")
	create(locked, world.Step("drain", "drain-node", "node", "worker-1"))
	w.WaitPhase(t, "search-drain", wfev1.PhasePending)
}

// TestDashboard does what somebody does who is called at night.
func TestDashboard(t *testing.T) {
	w := world.Start(t)
	populate(t, w)
	s := serve(t, w)
	tab := browser.Open(t)
	for _, step := range []struct {
		name string
		look func(*testing.T, *site, *browser.Tab)
	}{
		{"StrangersSeeNothing", strangers}, {"List", list}, {"Find", find}, {"Failed", failed}, {"Live", live}, {"Decision", decision},
		{"Colours", colours}, {"End", end},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.look(t, s, tab.For(t)) }) {
			return // each goes on from where the one before has left off
		}
		if told := tab.Complaints(); len(told) > 0 && step.name != "End" {
			t.Fatalf("%s: the browser complains: %v", step.name, told)
		}
	}
}

// strangers comes without the token, and by a name that somebody else lets lead here.
func strangers(t *testing.T, s *site, _ *browser.Tab) {
	tab := browser.Open(t, browser.MapHost("evil.example"))
	for _, address := range []string{s.at("/"), "http://evil.example:" + s.Port() + "/?" + s.RawQuery} {
		tab.Do(chromedp.Navigate(address))
		if text := tab.Text("document.body.innerText"); strings.Contains(text, "payment-api") || !strings.Contains(text, "kubectl wfe dashboard") {
			t.Errorf("%s shows %s", address, text)
		}
	}
}

func list(t *testing.T, s *site, tab *browser.Tab) {
	tab.Dark(false)
	tab.Visit(s.String())
	if here := tab.Text("location.href"); here != s.at("/") {
		t.Errorf("the token is still in the address: %s", here)
	}
	rows := strings.Split(tab.Text(`[...document.querySelectorAll("a.row")].map((a) => a.innerText).join(" ")`), " ")
	want := []string{"billing-failover", "search-drain", "search-scale-up", "nobody-home", "checkout-restart", "payment-api-oom"}
	if !slices.Equal(rows, want) {
		t.Errorf("the list has %v, want %v", rows, want)
	}
	if title := tab.Text("document.title"); title != "? 1 · WorkflowExecutions" {
		t.Errorf("the title is %q", title)
	}
	tab.Screenshot("list")
}

// find uses the keyboard alone: the list can be searched, and what is found be opened.
func find(t *testing.T, s *site, tab *browser.Tab) {
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
		t.Fatalf("the key leads to %q", focus)
	}
	tab.Press(kb.Enter, 1)
	tab.Await(`location.pathname === "/execution/production/payment-api-oom"`)
	tab.Await(`document.getElementById("link").className === "link on"`)
}

// failed reads the page of an execution that failed and was rolled back.
func failed(t *testing.T, s *site, tab *browser.Tab) {
	text := tab.Text("document.body.innerText")
	for _, want := range []string{
		"OOMKilled in step fail-raise-memory", "Rollback:", "kubectl wfe retry --context=prod -n production payment-api-oom",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	// What was undone is beside what was done: on one axis, after it.
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

// live watches an execution come to its end, without the page being loaded again.
func live(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/execution/production/search-scale-up"))
	tab.Screenshot("running")
	before := tab.Text(`document.querySelector("#step-hang-raise-memory .number").innerText`)
	tab.Text(`window.mark = "still here", document.querySelector("#graph").dataset.mark = "x"`)
	tab.Await(fmt.Sprintf(`document.querySelector("#step-hang-raise-memory .number").innerText !== %q`, before))
	s.Release(t, "search-scale-up")
	tab.Await(`document.querySelector(".title .phase").innerText.includes("Completed")`)
	if mark := tab.Text("window.mark"); mark != "still here" {
		t.Error("the page was loaded anew")
	}
	if title := tab.Text("document.title"); !strings.HasPrefix(title, "✔ search-scale-up") {
		t.Errorf("the title is %q", title)
	}
	tab.Screenshot("completed")
}

// decision decides in another terminal while the list has the focus, which stays where it is.
func decision(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/execution/production/billing-failover"))
	tab.Screenshot("waiting")
	tab.Visit(s.at("/"))
	row := tab.Text(`(() => { const row = [...document.querySelectorAll("a.row")].find((a) => a.innerText === "billing-failover"); row.focus(); return row.closest("tbody").id; })()`)
	if row != "waiting" {
		t.Fatalf("it is in group %q", row)
	}
	s.Change(t, "billing-failover", func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "the region is gone"}}
	})
	tab.Await(`[...document.querySelectorAll("#ended a.row")].some((a) => a.innerText === "billing-failover")`)
	if focus := tab.Focus(); focus != "row: billing-failover" {
		t.Errorf("after the row has moved the focus is on %q", focus)
	}
}

// colours holds that all can be read, by day and by night.
func colours(t *testing.T, s *site, tab *browser.Tab) {
	backs := map[string]bool{}
	for _, dark := range []bool{false, true} {
		tab.Dark(dark)
		for name, path := range map[string]string{"list": "/", "failed": "/execution/production/payment-api-oom", "decided": "/execution/production/billing-failover"} {
			tab.Visit(s.at(path))
			if hard := tab.HardToRead(); hard != "" {
				t.Errorf("%s, dark %t: hard to read:\n%s", name, dark, hard)
			}
			if dark {
				tab.Screenshot(name + "-dark")
			}
		}
		backs[tab.Text("getComputedStyle(document.body).backgroundColor")] = true
	}
	if len(backs) != 2 {
		t.Errorf("by day and by night it is %v", backs)
	}
}

// end ends the program: the page says that it knows no more.
func end(t *testing.T, s *site, tab *browser.Tab) {
	tab.Visit(s.at("/"))
	s.stop()
	tab.Await(`document.getElementById("link").innerText.startsWith("not connected since ")`)
	tab.Screenshot("end-dark")
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, with a page open", code)
	}
}
