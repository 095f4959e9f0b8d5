package command

import (
	"encoding/json"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// testActions verifies that a namespaced action overrides the cluster's, and that an invalid template is reported.
func testActions(w *testCluster) {
	w.run("actions").check(w.t, 0, "", "scale-deployment", "deployment,replicas")
	w.run("actions", "scale-deployment").check(w.t, 0, "", "ClusterWorkflowTemplate/scale-deployment")
	spec := wfv1.WorkflowSpec{Entrypoint: "do", Templates: []wfv1.Template{{Name: "do", Container: &corev1.Container{Image: "x"}}}}
	broken := *spec.DeepCopy()
	broken.Entrypoint = "none"
	for name, s := range map[string]wfv1.WorkflowSpec{"scale-deployment": spec, "broken": broken} {
		template := &wfv1.WorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Labels: map[string]string{wfev1.LabelAction: name}}, Spec: s}
		if err := w.admin.Create(w.t.Context(), template); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run("actions", "scale-deployment", "--namespaced-actions").
		check(w.t, 0, `note: WorkflowTemplate/broken: spec.entrypoint: there is no template "none"`, "WorkflowTemplate/scale-deployment")
	w.run("actions", "--catalog-namespace", w.namespace, "-o", "wide").check(w.t, 0, "note: WorkflowTemplate/broken", "WorkflowTemplate/scale-deployment")
	w.run("actions", "restart-pod", "--catalog-namespace", w.namespace).check(w.t, 1, `action "restart-pod" is not in the catalog`)
}

func TestActionsOffline(t *testing.T) {
	t.Parallel()
	own := filepath.Dir(write(t, "own.yaml", ownAction))
	run(t.Context(), "", "actions", "--offline").check(t, 0, "", "NAME", "scale-deployment", "deployment,replicas", "wait-seconds")
	run(t.Context(), "", "actions", "--offline", "-o", "wide").check(t, 0, "", "OUTPUTS", "changed,previous-replicas", "ClusterWorkflowTemplate/wait")
	run(t.Context(), "", "actions", "--catalog", own, "own").check(t, 0, "", "ClusterWorkflowTemplate/own")
	run(t.Context(), "", "actions", "--offline", "scale-deployment").check(t, 0, "", `default "300"`, "previous-replicas",
		"ClusterRole workflowexecution-action-scale-deployment, with a RoleBinding", "scale-deployment with replicas from previous-replicas")
	run(t.Context(), "", "actions", "--offline", "none").check(t, 1, `error: action "none" is not in the catalog`)
	got := run(t.Context(), "", "actions", "--offline", "-o", "json")
	var all []action
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all) < 20 {
		t.Errorf("%d actions, error %v", len(all), err)
	}
	for _, a := range all {
		for _, p := range a.Parameters {
			if isSetByController(p.Name) {
				t.Errorf("%s lists the parameter %s, which the controller sets", a.Name, p.Name)
			}
		}
	}
}
