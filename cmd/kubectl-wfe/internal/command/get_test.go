package command

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	completed = wfev1.StepCompleted
	awaiting  = wfev1.StepAwaitingApproval
)

func testViews(w *testCluster) {
	wfe := w.createSample("look")
	w.run("tree", "look").check(w.t, 0, "", "look  Pending  Deployment/payment-api", "└─ ○ scale-up", "Pending")
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)

	w.run("get").check(w.t, 0, "", "NAME", "PROGRESS", "AwaitingApproval", "1/4", "ask")
	w.run("get", "-A", "-o", "wide").check(w.t, 0, "", "NAMESPACE", "TARGET", w.namespace, "Deployment/payment-api")
	w.run("get", "look").check(w.t, 0, "", "look", "AwaitingApproval")
	w.run("get", "-l", "alert=other").check(w.t, 0, "note: no executions found")
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
		w.t.Error("the output has an event of another object")
	}
}
