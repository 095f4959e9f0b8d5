package tree

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)

func load(t *testing.T, name string) *wfev1.WorkflowExecution {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name, "in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict(content, wfe); err != nil {
		t.Fatal(err)
	}
	return wfe
}

func text(lines []Line) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line.Text + "\n")
	}
	return b.String()
}

// TestGolden draws every testdata/<case>/in.yaml with each set of options.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"running", "rolled-back", "new"} {
		for way, o := range map[string]Options{
			"plain": {}, "wide": {Wide: true}, "narrow": {Width: 50}, "color": {Style: terminal.Color},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				o.Now = now
				got := text(Draw(load(t, name), o))
				golden := filepath.Join("testdata", name, way+".txt")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				for line := range strings.Lines(got) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); o.Width > 0 && n > o.Width {
						t.Errorf("%d characters: %s", n, line)
					}
				}
			})
		}
	}
}

// TestDeepChain verifies that a long chain stays within the maximum depth and that no step is lost.
func TestDeepChain(t *testing.T) {
	t.Parallel()
	wfe := &wfev1.WorkflowExecution{}
	for i := range 30 {
		step := wfev1.Step{Name: fmt.Sprint("s", i), Action: "wait"}
		if i > 0 {
			step.DependsOn = []string{fmt.Sprint("s", i-1)}
		}
		wfe.Spec.Steps = append(wfe.Spec.Steps, step)
	}
	lines := Draw(wfe, Options{Now: now})
	if len(lines) != 31 {
		t.Fatalf("%d lines", len(lines))
	}
	if want := strings.Repeat("   ", maxDepth) + "└─ ○ s29  wait  Pending    after s28"; lines[30].Text != want {
		t.Errorf("the last line is %q, want %q", lines[30].Text, want)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	lines := []Line{
		{"head", ""}, {"a", wfev1.StepCompleted}, {"b", wfev1.StepFailed}, {"c", wfev1.StepRunning}, {"d", wfev1.StepPending}, {"e", wfev1.StepPending},
	}
	for rows, want := range map[int][]string{
		0: {"head", "a", "b", "c", "d", "e"},
		6: {"head", "a", "b", "c", "d", "e"},
		5: {"head", "a", "b", "c", "… and 2 more lines that do not fit on the screen"},
		4: {"head", "b", "c", "… and 3 more lines that do not fit on the screen"},
		3: {"head", "b", "… and 4 more lines that do not fit on the screen"},
	} {
		var got []string
		for _, line := range Fit(slices.Clone(lines), rows) {
			got = append(got, line.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d rows (-want +got):\n%s", rows, diff)
		}
	}
}

// TestChanges verifies that each change is reported once.
func TestChanges(t *testing.T) {
	t.Parallel()
	running := load(t, "running")
	failed := running.DeepCopy()
	failed.Status.Phase = wfev1.PhaseFailed
	failed.Status.Steps[1].Phase, failed.Status.Steps[1].Reason = wfev1.StepFailed, wfev1.ReasonApprovalRejected
	failed.Status.Failure = &wfev1.Failure{Step: "ask", Reason: wfev1.ReasonApprovalRejected}
	failed.Status.RollbackSteps = []wfev1.StepStatus{{Name: "scale-up", Action: "scale-deployment", Phase: wfev1.StepRunning}}
	for name, test := range map[string]struct {
		before, after *wfev1.WorkflowExecution
		want          []string
	}{
		"First": {nil, running, []string{
			"03:05:00  payment-api-oom  AwaitingApproval  2/6",
			"03:05:00  scale-up  Completed  8s",
			"03:05:00  ask  AwaitingApproval",
			"03:05:00  raise-memory  Failed  20s  3 attempts, OOMKilled: main: OOMKilled (exit code 137)",
		}},
		"Nothing": {running, running, nil},
		"End": {running, failed, []string{
			"03:05:00  ask  Failed  47s  ApprovalRejected",
			"03:05:00  rollback of scale-up  Running",
			`03:05:00  payment-api-oom  Failed  2/6  55s  ApprovalRejected in step "ask"`,
		}},
	} {
		if diff := cmp.Diff(test.want, Changes(test.before, test.after, Options{Now: now})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNarrowFailure verifies that a terminal of 80 columns shows the whole message of a failure.
func TestNarrowFailure(t *testing.T) {
	t.Parallel()
	message := strings.TrimSpace(strings.Repeat("deployments.apps is forbidden: cannot patch ", 6)) + " " + strings.Repeat("x", 100)
	wfe := load(t, "rolled-back")
	wfe.Status.Failure = &wfev1.Failure{Step: wfe.Status.Steps[0].Name, Reason: wfev1.ReasonForbidden, Message: message}
	wfe.Status.Steps[0].Message = message
	var shown strings.Builder
	for _, line := range Draw(wfe, Options{Now: now, Width: 80}) {
		if n := utf8.RuneCountInString(line.Text); n > 80 {
			t.Errorf("%d characters: %s", n, line.Text)
		}
		shown.WriteString(strings.ReplaceAll(line.Text, " ", ""))
	}
	if !strings.Contains(shown.String(), strings.ReplaceAll(message, " ", "")) {
		t.Errorf("the message is not shown:\n%s", text(Draw(wfe, Options{Now: now, Width: 80})))
	}
}
