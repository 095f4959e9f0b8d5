package command

import (
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// hostile is text that clears the screen, reverses the line and sets the title of a terminal.
const hostile = "x\x1b[2J\x1b[1A\x1b]0;title\x07\ry"

// testControlCharacters runs every command on objects with hostile text and verifies that none of it reaches the output.
func testControlCharacters(w *testCluster) {
	w.createHostile("hostile", wfev1.PhaseFailed, wfev1.StepFailed)
	w.createHostile("waiting", wfev1.PhaseAwaitingApproval, completed, awaiting)
	w.createHostileAction()
	file := write(w.t, "hostile.yaml", w.manifest("hostile"))
	verbs := map[string][][]string{
		"actions":   {{"--catalog-namespace", w.namespace, "-o", "wide"}, {"hostile", "--catalog-namespace", w.namespace}, {hostile}},
		"approve":   {{"waiting", hostile}, {"waiting", "ask", "--by", hostile}, {"waiting", "ask"}},
		"cancel":    {{"hostile"}, {hostile}},
		"dashboard": {{hostile}},
		"describe":  {{"hostile"}, {hostile}},
		"diff":      {{hostile}, {"waiting", "--timeout", "1s"}, {"-f", file}},
		"get":       {nil, {"-o", "wide"}, {"-o", "json"}, {"-o", "yaml"}, {"hostile"}, {hostile}},
		"graph":     {{"hostile"}, {"hostile", "-o", "dot"}, {"hostile", "-o", "svg"}, {hostile}},
		"lint":      {{file}, {hostile}},
		"logs":      {{"hostile"}, {"hostile", "restart"}, {"hostile", hostile}},
		"rbac":      {{"hostile"}, {hostile}, {"-f", file}, {"hostile", "--default-service-account", hostile}},
		"reject":    {{"waiting", hostile}, {"waiting", "ask"}},
		"rerun":     {{"hostile", "--dry-run=client", "-o", "json"}, {hostile}},
		"resume":    {{"hostile"}, {hostile}},
		"retry":     {{"hostile"}, {"hostile", "--dry-run=client", "-o", "json"}, {hostile}},
		"submit":    {{file}, {hostile}},
		"suspend":   {{"hostile"}, {hostile}},
		"translate": {{"-f", file}, {"-f", file, "-o", "json"}, {"-f", hostile}},
		"tree":      {{"hostile"}, {"hostile", "-o", "wide"}, {"hostile", "-o", "json"}, {hostile}},
		"watch":     {{"hostile"}, {hostile}},
	}
	for _, cmd := range newRoot(Environment{Now: time.Now}).Commands() {
		if _, has := verbs[cmd.Name()]; !has && cmd.GroupID != "" {
			w.t.Errorf("no test of %s", cmd.Name())
		}
	}
	shown := 0
	for verb, calls := range verbs {
		for _, args := range calls {
			got := w.run(append([]string{verb}, args...)...)
			if i := strings.IndexFunc(got.out+got.err, isHarmful); i >= 0 {
				w.t.Errorf("%s %q prints a control character:\n%q", verb, args, got.out+got.err)
			}
			if strings.Contains(got.out+got.err, "[2J") {
				shown++
			}
		}
	}
	if shown < len(verbs) {
		w.t.Errorf("only %d outputs show the hostile text", shown)
	}
}

func isHarmful(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == unicode.ReplacementChar
}

// createHostile creates an execution with hostile text in every field that accepts it.
func (w *testCluster) createHostile(name string, phase wfev1.Phase, steps ...wfev1.StepPhase) {
	w.t.Helper()
	value := hostile
	wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Annotations: map[string]string{"note": hostile}}}
	wfe.Spec.Target = wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "payment-api"}
	wfe.Spec.Steps = []wfev1.Step{
		{Name: "restart", Action: "restart-deployment", Parameters: []wfev1.Parameter{{Name: "deployment", Value: &value}}},
		{Name: "ask", Approval: &wfev1.ApprovalRequest{Message: hostile}, DependsOn: []string{"restart"}},
		{Name: "other", Approval: &wfev1.ApprovalRequest{}},
	}
	wfe.Spec.Approvals = []wfev1.Approval{{Step: "other", By: hostile, Reason: hostile}}
	if err := w.admin.Create(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	w.mustWriteStatus(wfe, phase, steps...)
	status := &wfe.Status
	if status.Failure != nil {
		status.Failure.Message = hostile
	}
	for i := range status.Steps {
		status.Steps[i].Message, status.Steps[i].PodName = hostile, hostile
		status.Steps[i].Outputs = []wfev1.Output{{Name: "changed", Value: hostile}}
	}
	status.RollbackSteps = []wfev1.StepStatus{{Name: "restart", Action: "restart-deployment", Phase: wfev1.StepFailed, Message: hostile}}
	status.URL = hostile
	status.Conditions = []metav1.Condition{{Type: wfev1.ConditionRolledBack, Status: metav1.ConditionFalse, Reason: "Failed", Message: hostile, LastTransitionTime: metav1.Now()}}
	if err := w.admin.Status().Update(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: name + ".", Namespace: w.namespace},
		InvolvedObject: corev1.ObjectReference{Kind: wfev1.Kind, Name: name, Namespace: w.namespace, UID: wfe.UID},
		Type:           "Normal", Reason: hostile, Message: hostile, LastTimestamp: metav1.Now(),
	}
	if err := w.admin.Create(w.t.Context(), event); err != nil {
		w.t.Fatal(err)
	}
}

// createHostileAction creates an action with hostile text, and a template with an error that quotes such text.
func (w *testCluster) createHostileAction() {
	w.t.Helper()
	template := wfv1.Template{Name: "do", Container: &corev1.Container{Image: "x"}}
	value := wfv1.AnyString(hostile)
	template.Inputs.Parameters = []wfv1.Parameter{{Name: "p", Default: &value, Enum: []wfv1.AnyString{value}, Description: &value}}
	for name, entrypoint := range map[string]string{"hostile": "do", "invalid": hostile} {
		object := &wfv1.WorkflowTemplate{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: w.namespace, Labels: map[string]string{wfev1.LabelAction: name},
				Annotations: map[string]string{"workflows.argoproj.io/description": hostile},
			},
			Spec: wfv1.WorkflowSpec{Entrypoint: entrypoint, Templates: []wfv1.Template{template}},
		}
		if err := w.admin.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
	}
}

// manifest returns an execution of the cluster as a manifest with another name, and with an unknown field and action.
func (w *testCluster) manifest(name string) string {
	w.t.Helper()
	wfe := w.execution(name)
	wfe.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	wfe.Name, wfe.ResourceVersion, wfe.UID = "from-file", "", ""
	wfe.Spec.Steps[0].Action = hostile
	content, err := yaml.Marshal(wfe)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}
