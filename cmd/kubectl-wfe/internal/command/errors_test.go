package command

import (
	"os"
	"testing"
)

func testNoDefinitions(w *testCluster) {
	for _, args := range [][]string{{"get"}, {"tree", "a"}, {"approve", "a"}, {"cancel", "a"}} {
		w.run(args...).check(w.t, 1, "error: the cluster has no WorkflowExecution resource: install the controller")
	}
	w.run("actions").check(w.t, 1, "error: the cluster has no resources of argoproj.io: install Argo Workflows")
}

func testUnknownNames(w *testCluster) {
	for _, command := range []string{"get", "tree", "watch", "describe", "logs", "graph", "approve", "reject", "cancel", "suspend", "resume", "retry"} {
		w.run(command, "unknown").check(w.t, 1, `error: WorkflowExecution "unknown" not found in namespace "`+w.namespace+`"`)
	}
	w.run("diff", "unknown").check(w.t, 2, `error: WorkflowExecution "unknown" not found`)
	w.run("get").check(w.t, 0, `note: no executions found in namespace "`+w.namespace+`"`)
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
