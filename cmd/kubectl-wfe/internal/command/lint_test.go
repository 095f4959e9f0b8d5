package command

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
)

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
		"NoFile":        {args: []string{}, code: 1, wantErr: "error: must specify a file with -f FILE"},
		"Missing":       {args: []string{"-f", "nowhere.yaml"}, code: 1, wantErr: "nowhere.yaml: no such file"},
		"NoExecution":   {in: "kind: Pod", args: []string{"-f", "-"}, code: 1, wantErr: "error: no WorkflowExecution found in standard input: it contains Pod"},
		"NoCatalog":     {in: ownExecution, args: []string{"-f", "-", "--catalog", "nowhere"}, code: 1, wantErr: "nowhere: no such file"},
		"UnknownFormat": {in: ownExecution, args: []string{"-f", "-", "-o", "xml"}, code: 1, wantErr: "error: -o xml: use json, yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t.Context(), test.in, append([]string{"lint"}, test.args...)...).check(t, test.code, test.wantErr, test.out...)
		})
	}
}

func TestLintJSON(t *testing.T) {
	t.Parallel()
	got := run(t.Context(), ownExecution, "lint", "-f", "-", "-o", "json")
	var problems []lint.Problem
	if err := json.Unmarshal([]byte(got.out), &problems); err != nil || len(problems) != 1 || problems[0].Line != 5 || problems[0].Step != "do" {
		t.Errorf("problems %+v, error %v", problems, err)
	}
	got.check(t, 1, "")
	run(t.Context(), "", "lint", "-f", samples, "--catalog", samples+"actions", "-o", "yaml").check(t, 0, "", "[]")
}
