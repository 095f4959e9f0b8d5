package command

import (
	"strings"
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func testCompletion(w *testCluster) {
	w.mustWriteStatus(w.createSample("waiting"), wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.mustWriteStatus(w.createSample("failed"), wfev1.PhaseFailed, wfev1.StepFailed)
	for words, want := range map[string]string{
		"tree ":            "failed\nwaiting\n",
		"tree w":           "waiting\n",
		"tree waiting ":    "",
		"retry ":           "failed\n",
		"cancel ":          "waiting\n",
		"approve ":         "waiting\n",
		"approve waiting ": "ask\n",
		"logs failed sca":  "scale-up\nscale-back\n",
		"actions scale-d":  "scale-deployment\n",
		"get -n " + w.namespace[:len(w.namespace)-1]: w.namespace + "\n",
	} {
		args := append([]string{"--kubeconfig", w.kubeconfig, "-n", w.namespace}, strings.Split(words, " ")...)
		got := runAs(w.t.Context(), "kubectl_complete-wfe", "", args...)
		completions, _, found := strings.Cut(got.out, ":")
		if got.code != 0 || !found || completions != want {
			w.t.Errorf("%q is completed by %q, want %q", words, completions, want)
		}
	}
}

func TestCompletionOfFlags(t *testing.T) {
	t.Parallel()
	run(t.Context(), "", "__complete", "graph", "-o", "").check(t, 0, "Completion ended", "mermaid\ndot\nsvg\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "retry", "--dry-run=").check(t, 0, "Completion ended", "none\nclient\nserver\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "actions", "--offline", "scale-d").check(t, 0, "Completion ended", "scale-deployment\n")
	config := write(t, "config", "apiVersion: v1\nkind: Config\ncontexts: [{name: kind-two}, {name: kind-one}, {name: other}]\n")
	runAs(t.Context(), "/bin/kubectl_complete-wfe", "", "--kubeconfig", config, "get", "--context", "kind").check(t, 0, "Completion ended", "kind-one\nkind-two\n")
}
