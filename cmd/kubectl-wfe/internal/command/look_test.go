package command

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	completed = wfev1.StepCompleted
	awaiting  = wfev1.StepAwaitingApproval
)

func testNoDefinitions(w *world) {
	for _, args := range [][]string{{"get"}, {"tree", "a"}, {"approve", "a"}, {"cancel", "a"}} {
		w.run(args...).check(w.t, 1, "error: the cluster does not know WorkflowExecutions: install the controller")
	}
	w.run("actions").check(w.t, 1, "error: the cluster does not know the kinds of argoproj.io: install Argo Workflows")
}

func testUnknownNames(w *world) {
	for _, command := range []string{"get", "tree", "watch", "describe", "logs", "graph", "approve", "reject", "cancel", "suspend", "resume", "retry"} {
		w.run(command, "nobody").check(w.t, 1, `error: there is no WorkflowExecution "nobody" in namespace "`+w.namespace+`"`)
	}
	w.run("diff", "nobody").check(w.t, 2, `error: there is no WorkflowExecution "nobody"`)
	w.run("get").check(w.t, 0, `note: there are no executions in namespace "`+w.namespace+`"`)
}

func testLook(w *world) {
	wfe := w.sample("look")
	w.run("tree", "look").check(w.t, 0, "", "look  Pending  Deployment/payment-api", "└─ ○ scale-up", "Pending")
	w.mustReport(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)

	w.run("get").check(w.t, 0, "", "NAME", "PROGRESS", "AwaitingApproval", "1/4", "ask")
	w.run("get", "-A", "-o", "wide").check(w.t, 0, "", "NAMESPACE", "TARGET", w.namespace, "Deployment/payment-api")
	w.run("get", "look").check(w.t, 0, "", "look", "AwaitingApproval")
	w.run("get", "-l", "alert=other").check(w.t, 0, "note: there are no executions")
	w.run("get", "-l", "alert=oom", "-o", "json").check(w.t, 0, "", `"kind": "WorkflowExecutionList"`, `"name": "look"`)
	w.run("tree", "look").check(w.t, 0, "", "✔ scale-up", "? ask", "Restart?", "1/4")
	w.run("tree", "look", "-o", "wide").check(w.t, 0, "", "previous-replicas=2")
	w.run("graph", "look").check(w.t, 0, "", "fill:#d3f2d8")

	got := w.run("get", "look", "-o", "yaml")
	got.check(w.t, 0, "")
	read := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(got.out), read); err != nil || read.Kind != wfev1.Kind || read.UID != wfe.UID || read.ManagedFields != nil {
		w.t.Errorf("the object is %+v, error %v", read.ObjectMeta, err)
	}
	w.runIn(w.t.Context(), got.out, "lint", "-f", "-").check(w.t, 0, "", "look: no problems")

	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "look.", Namespace: w.namespace},
		InvolvedObject: corev1.ObjectReference{Kind: wfev1.Kind, Name: "look", Namespace: w.namespace, UID: wfe.UID},
		Type:           "Normal", Reason: "Started", Message: "the Workflow was created", LastTimestamp: metav1.Now(),
	}
	other := event.DeepCopy()
	other.InvolvedObject.UID, other.Reason = "another", "NotOurs"
	for _, e := range []*corev1.Event{event, other} {
		if err := w.admin.Create(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	described := w.run("describe", "look")
	described.check(w.t, 0, "", "Target:", "Deployment/payment-api (apps/v1)", "Started", "the Workflow was created", "previous-replicas")
	if strings.Contains(described.out, "NotOurs") {
		w.t.Error("an event of another object is told")
	}
}

func testCompletion(w *world) {
	w.mustReport(w.sample("waiting"), wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.mustReport(w.sample("failed"), wfev1.PhaseFailed, wfev1.StepFailed)
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

func testLogs(w *world) {
	wfe := w.sample("logs")
	w.run("logs", "logs").check(w.t, 1, `error: no step of "logs" has a pod yet`)
	w.mustReport(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
	wfe.Status.Steps[0].PodName = "gone"
	if err := w.admin.Status().Update(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	for _, test := range []struct {
		args    []string
		code    int
		wantErr string
	}{
		{[]string{"logs", "logs", "scale-up"}, 1, `error: the pod gone of step "scale-up" is gone`},
		{[]string{"logs", "logs"}, 0, `note: the pod gone of step "scale-up" is gone`},
		{[]string{"logs", "logs", "ask"}, 1, `error: step "ask" is an approval: nothing runs and nothing is logged`},
		{[]string{"logs", "logs", "restart"}, 1, `error: step "restart" has no pod: it is Pending`},
		{[]string{"logs", "logs", "none"}, 1, `error: "logs" has no step "none"; it has ["scale-up" "ask" "restart" "scale-back"]`},
		{[]string{"logs", "logs", "--rollback"}, 1, `error: "logs" has no rollback`},
		{[]string{"logs", "logs", "-f"}, 1, "error: name the step to follow"},
	} {
		w.run(test.args...).check(w.t, test.code, test.wantErr)
	}
}

// testActions has a namespaced action, which wins where the controller says so, and one that is broken.
func testActions(w *world) {
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
	w.run("actions", "restart-pod", "--catalog-namespace", w.namespace).check(w.t, 1, `there is no action "restart-pod" in the catalog`)
}

// TestPodsOf finds the pods of the rollback where they are asked for.
func TestPodsOf(t *testing.T) {
	t.Parallel()
	wfe := &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
		Steps:         []wfev1.StepStatus{{Name: "a", Action: "x", PodName: "a-1"}, {Name: "ask"}, {Name: "b", Action: "x", PodName: "b-1"}},
		RollbackSteps: []wfev1.StepStatus{{Name: "a", Action: "y", PodName: "a-2"}},
	}}
	for name, test := range map[string]struct {
		step     string
		rollback bool
		want     []stepPod
	}{
		"All":        {want: []stepPod{{"a", "a-1"}, {"b", "b-1"}}},
		"One":        {step: "b", want: []stepPod{{"b", "b-1"}}},
		"OfRollback": {step: "a", rollback: true, want: []stepPod{{"a", "a-2"}}},
	} {
		got, err := podsOf(wfe, test.step, test.rollback)
		if err != nil || len(got) != len(test.want) {
			t.Fatalf("%s: %v, error %v", name, got, err)
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}
