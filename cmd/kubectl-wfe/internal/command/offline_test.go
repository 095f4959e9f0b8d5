package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
)

const samples = "../../../../config/samples/"

const ownAction = `
apiVersion: argoproj.io/v1alpha1
kind: ClusterWorkflowTemplate
metadata: {name: own, labels: {workflowexecution.kubernaut.io/action: own}}
spec: {entrypoint: own, templates: [{name: own, container: {image: x}}]}
`

const ownExecution = `
apiVersion: workflowexecution.kubernaut.io/v1alpha1
kind: WorkflowExecution
metadata: {name: mine}
spec: {target: {apiVersion: v1, kind: Node, name: node-1}, steps: [{name: do, action: own}]}
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLint(t *testing.T) {
	t.Parallel()
	own := filepath.Dir(write(t, "own.yaml", ownAction))
	broken := write(t, "broken.yaml", strings.Replace(ownAction, "entrypoint: own", "entrypoint: none", 1))
	for name, test := range map[string]struct {
		in      string
		args    []string
		code    int
		out     []string
		wantErr string
	}{
		"Folder":        {args: []string{"-f", samples, "--catalog", samples + "actions"}, out: []string{"payment-api-oom: no problems, 4 steps, 4 dependencies", "payment-api-dry-run: no problems"}},
		"Stdin":         {in: ownExecution, args: []string{"-f", "-"}, code: 1, out: []string{`-:5: mine: step "do": action: action "own" is not in the catalog`}},
		"OwnAction":     {in: ownExecution, args: []string{"-f", "-", "--catalog", own}, out: []string{"mine: no problems"}},
		"BrokenAction":  {in: ownExecution, args: []string{"-f", "-", "--catalog", filepath.Dir(broken)}, code: 1, out: []string{"is not in the catalog"}, wantErr: `note: ` + filepath.Dir(broken) + `: ClusterWorkflowTemplate/own: spec.entrypoint: there is no template "none"`},
		"NoFile":        {args: []string{}, code: 1, wantErr: "error: name a file"},
		"Missing":       {args: []string{"-f", "nowhere.yaml"}, code: 1, wantErr: "nowhere.yaml: no such file"},
		"NoExecution":   {in: "kind: Pod", args: []string{"-f", "-"}, code: 1, wantErr: "error: there is no WorkflowExecution in [-]"},
		"NoCatalog":     {in: ownExecution, args: []string{"-f", "-", "--catalog", "nowhere"}, code: 1, wantErr: "nowhere: no such file"},
		"UnknownFormat": {in: ownExecution, args: []string{"-f", "-", "-o", "xml"}, code: 1, wantErr: "error: -o xml: use json, yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t.Context(), test.in, append([]string{"lint"}, test.args...)...).check(t, test.code, test.wantErr, test.out...)
		})
	}
}

func TestLintForPrograms(t *testing.T) {
	t.Parallel()
	got := run(t.Context(), ownExecution, "lint", "-f", "-", "-o", "json")
	var problems []lint.Problem
	if err := json.Unmarshal([]byte(got.out), &problems); err != nil || len(problems) != 1 || problems[0].Line != 5 || problems[0].Step != "do" {
		t.Errorf("problems %+v, error %v", problems, err)
	}
	got.check(t, 1, "")
	run(t.Context(), "", "lint", "-f", samples, "--catalog", samples+"actions", "-o", "yaml").check(t, 0, "", "[]")
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	got := run(t.Context(), ownExecution+"---"+strings.ReplaceAll(ownExecution, "mine", "other"), "translate", "-f", "-", "-n", "here",
		"--catalog", filepath.Dir(write(t, "own.yaml", ownAction)), "--default-service-account", "robot", "--argo-instance-id", "one")
	got.check(t, 0, "")
	documents := strings.Split(got.out, "---\n")
	if len(documents) != 2 {
		t.Fatalf("%d documents:\n%s", len(documents), got.out)
	}
	for i, name := range []string{"mine", "other"} {
		var wf wfv1.Workflow
		if err := yaml.UnmarshalStrict([]byte(documents[i]), &wf); err != nil {
			t.Fatal(err)
		}
		if wf.Name != name || wf.Namespace != "here" || wf.Spec.ServiceAccountName != "robot" || wf.Labels["workflows.argoproj.io/controller-instanceid"] != "one" {
			t.Errorf("the Workflow is %s/%s of %s with %v", wf.Namespace, wf.Name, wf.Spec.ServiceAccountName, wf.Labels)
		}
	}
	run(t.Context(), ownExecution, "translate", "-f", "-").check(t, 1, `-:5: mine: step "do"`)
}

func TestTranslateARollback(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile(samples + "rollback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	run(t.Context(), string(sample), "translate", "--rollback", "-f", "-").check(t, 1, `by the status in the file "payment-api-rollback-sample" has nothing to undo`)
	status := "status: {phase: Failed, steps: [{name: scale-up, action: scale-deployment, phase: Completed, outputs: [{name: previous-replicas, value: \"2\"}]}]}\n"
	run(t.Context(), string(sample)+status, "translate", "--rollback", "-f", "-", "-o", "json").
		check(t, 0, "", `"name": "payment-api-rollback-sample-rollback"`, `"value": "2"`)
}

func TestGraphOfAFile(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"mermaid": "flowchart LR", "dot": "digraph", "svg": "<svg"} {
		run(t.Context(), "", "graph", "-f", samples+"remediate.yaml", "-o", format).check(t, 0, "", want, "raise-memory")
	}
	run(t.Context(), "", "graph").check(t, 1, "error: give either the NAME of an execution or a file with -f")
	run(t.Context(), "", "graph", "-f", samples+"remediate.yaml", "name").check(t, 1, "error: give either")
}

func TestActionsOffline(t *testing.T) {
	t.Parallel()
	own := filepath.Dir(write(t, "own.yaml", ownAction))
	run(t.Context(), "", "actions", "--offline").check(t, 0, "", "NAME", "scale-deployment", "deployment,replicas", "wait-seconds")
	run(t.Context(), "", "actions", "--offline", "-o", "wide").check(t, 0, "", "OUTPUTS", "changed,previous-replicas", "ClusterWorkflowTemplate/wait")
	run(t.Context(), "", "actions", "--catalog", own, "own").check(t, 0, "", "ClusterWorkflowTemplate/own")
	run(t.Context(), "", "actions", "--offline", "scale-deployment").check(t, 0, "", `default "300"`, "previous-replicas")
	run(t.Context(), "", "actions", "--offline", "none").check(t, 1, `error: there is no action "none" in the catalog`)
	got := run(t.Context(), "", "actions", "--offline", "-o", "json")
	var all []action
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all) < 20 {
		t.Errorf("%d actions, error %v", len(all), err)
	}
	for _, a := range all {
		for _, p := range a.Parameters {
			if isFilledIn(p.Name) {
				t.Errorf("%s has the parameter %s, which nobody gives", a.Name, p.Name)
			}
		}
	}
}

func TestNoCluster(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"get"}, {"tree", "a"}, {"watch", "a"}, {"describe", "a"}, {"logs", "a"}, {"graph", "a"}, {"actions"},
		{"approve", "a"}, {"reject", "a"}, {"cancel", "a"}, {"suspend", "a"}, {"resume", "a"}, {"retry", "a"},
	} {
		at := append([]string{"--kubeconfig", os.DevNull, "--server", "http://127.0.0.1:1"}, args...)
		run(t.Context(), "", at...).check(t, 1, "error: the API server at http://127.0.0.1:1 cannot be reached: connect: connection refused")
	}
	run(t.Context(), "", "--kubeconfig", os.DevNull, "--server", "http://127.0.0.1:1", "diff", "a").check(t, 2, "error: the API server at")
	run(t.Context(), "", "--kubeconfig", "nowhere", "get").check(t, 1, "nowhere: no such file")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	run(t.Context(), "", "--version").check(t, 0, "", "kubectl wfe version v1.2.3")
	run(t.Context(), "", "--help").check(t, 0, "", "kubectl wfe [command]", "approve", "--kubeconfig", "--namespace", "--context")
	run(t.Context(), "", "tree").check(t, 1, "error: accepts 1 arg(s), received 0")
	run(t.Context(), "", "tree", "a", "--none").check(t, 1, "error: unknown flag: --none")
	run(t.Context(), "", "completion", "bash").check(t, 0, "", "kubectl-wfe")
}

func TestCompletionOfFlags(t *testing.T) {
	t.Parallel()
	run(t.Context(), "", "__complete", "graph", "-o", "").check(t, 0, "Completion ended", "mermaid\ndot\nsvg\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "retry", "--dry-run", "").check(t, 0, "Completion ended", "none\nclient\nserver\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "actions", "--offline", "scale-d").check(t, 0, "Completion ended", "scale-deployment\n")
	config := write(t, "config", "apiVersion: v1\nkind: Config\ncontexts: [{name: kind-two}, {name: kind-one}, {name: other}]\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "--kubeconfig", config, "get", "--context", "kind").check(t, 0, "Completion ended", "kind-one\nkind-two\n")
}

func TestPrefixLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	long := strings.Repeat("x", 100_000)
	if err := prefixLines(&out, strings.NewReader("a\n\n"+long+"\nlast"), "[s] "); err != nil {
		t.Fatal(err)
	}
	if want := "[s] a\n[s] \n[s] " + long + "\n[s] last\n"; out.String() != want {
		t.Errorf("%d bytes, want %d", out.Len(), len(want))
	}
}

// TestRedraw draws over what was drawn before, as many lines as that were.
func TestRedraw(t *testing.T) {
	t.Parallel()
	out := &buffer{}
	s := &session{Environment: Environment{Streams: streamsTo(out), Lookup: func(string) string { return "" }, Now: time.Now}}
	draw := s.redraw()
	wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	wfe.Spec.Target = wfev1.Target{Kind: "Node", Name: "n"}
	wfe.Spec.Steps = []wfev1.Step{{Name: "do", Action: "wait"}}
	draw(wfe, false)
	wfe.Status.Phase = wfev1.PhaseFailed
	wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonTimedOut}
	draw(wfe, false)
	draw(wfe, true)
	want := "a  Pending  Node/n\n└─ ○ do  wait  Pending\n" +
		"\x1b[2A\x1b[Ja  Failed  Node/n\n  TimedOut\n└─ ○ do  wait  Pending\n" +
		"\x1b[3A\x1b[Ja  Failed  Node/n\n  TimedOut\n└─ ○ do  wait  Pending\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReadme checks that the README's table has every command, and no flag that does not exist.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(Environment{Now: time.Now})
	told := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(line, "|")
		var current *cobra.Command
		for _, call := range codeSpans(cells[1]) {
			words := strings.Fields(call)
			if current, _, err = root.Find(words[:1]); err != nil || current == root {
				t.Fatalf("there is no command %s", words[0])
			}
			told[current.Name()] = true
			checkFlags(t, current, words[1:])
		}
		for _, call := range codeSpans(cells[2]) {
			checkFlags(t, current, strings.Fields(call))
		}
	}
	for _, cmd := range root.Commands() {
		if !told[cmd.Name()] {
			t.Errorf("the README does not list %s", cmd.Name())
		}
	}
}

func codeSpans(text string) []string {
	var spans []string
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			spans = append(spans, part)
		}
	}
	return spans
}

func checkFlags(t *testing.T, cmd *cobra.Command, words []string) {
	t.Helper()
	for _, word := range words {
		name, isLong := strings.CutPrefix(word, "--")
		switch {
		case isLong && name != "help" && cmd.Flags().Lookup(name) == nil,
			!isLong && strings.HasPrefix(word, "-") && cmd.Flags().ShorthandLookup(word[1:]) == nil:
			t.Errorf("%s has no flag %s", cmd.Name(), word)
		}
	}
}
