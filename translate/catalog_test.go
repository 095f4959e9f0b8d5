package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// newTemplate is a template that the catalog takes, for the rows to break.
func newTemplate() *wfv1.ClusterWorkflowTemplate {
	return &wfv1.ClusterWorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: "tidy", Labels: map[string]string{wfev1.LabelAction: "tidy-up"}, Annotations: map[string]string{}},
		Spec: wfv1.WorkflowSpec{Entrypoint: "run", Templates: []wfv1.Template{
			{Name: "other", Container: &corev1.Container{Image: "other"}},
			{
				Name: "run", Container: &corev1.Container{Image: "tidy:v1", Command: []string{"tidy"}},
				Inputs: wfv1.Inputs{Parameters: []wfv1.Parameter{
					{Name: "path", Description: wfv1.AnyStringPtr("What to tidy.")},
					{Name: "mode", Default: wfv1.AnyStringPtr("soft"), Enum: []wfv1.AnyString{"soft", "hard"}},
					{Name: "depth", Default: wfv1.AnyStringPtr("1"), Value: wfv1.AnyStringPtr("2")},
				}},
				Outputs: wfv1.Outputs{Parameters: []wfv1.Parameter{
					{Name: "freed", Description: wfv1.AnyStringPtr("In bytes."), ValueFrom: &wfv1.ValueFrom{Path: "/tmp/freed", Default: wfv1.AnyStringPtr("")}},
				}},
			},
		}},
	}
}

func TestNewAction(t *testing.T) {
	template := newTemplate()
	template.Annotations[wfev1.AnnotationBase64Parameters] = " path ,"
	template.Annotations[wfev1.AnnotationBase64Outputs] = "freed"
	template.Annotations["workflows.argoproj.io/description"] = "Tidies up."
	before := template.DeepCopy()
	got, err := NewAction("ClusterWorkflowTemplate", template.ObjectMeta, &template.Spec)
	if err != nil {
		t.Fatal(err)
	}
	want := &Action{
		Name: "tidy-up", Source: "ClusterWorkflowTemplate/tidy", Summary: "Tidies up.",
		Parameters: []ActionParameter{
			{Name: "path", Description: "What to tidy.", Base64: true},
			{Name: "mode", Default: ptr.To("soft"), Enum: []string{"soft", "hard"}},
			{Name: "depth", Default: ptr.To("2")},
		},
		Outputs: []ActionOutput{{Name: "freed", Description: "In bytes.", Base64: true}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Action{})); diff != "" {
		t.Errorf("action (-want +got):\n%s", diff)
	}
	template.Spec.Templates[1].Container.Image = "changed later"
	if got.template.Container.Image != "tidy:v1" {
		t.Error("an action must not change with the object that it was read from")
	}
	template.Spec.Templates[1].Container.Image = "tidy:v1"
	if diff := cmp.Diff(before, template); diff != "" {
		t.Errorf("reading an action changed the template (-want +got):\n%s", diff)
	}
}

func TestNewActionRefuses(t *testing.T) {
	type template = wfv1.ClusterWorkflowTemplate
	run := func(change func(*wfv1.Template)) func(*template) {
		return func(t *template) { change(&t.Spec.Templates[1]) }
	}
	cases := map[string]struct {
		reason   string
		breakIt  func(*template)
		fragment string
	}{
		"NoLabel":      {"The label's value is the action's name.", func(t *template) { t.Labels = nil }, `workflowexecution.kubernaut.io/action: "" is not a valid name`},
		"BadLabel":     {"Steps could not name it.", func(t *template) { t.Labels[wfev1.LabelAction] = "Tidy.Up" }, `"Tidy.Up" is not a valid name`},
		"NoEntrypoint": {"The entrypoint is the action.", func(t *template) { t.Spec.Entrypoint = "" }, `spec.entrypoint: there is no template ""`},
		"UnknownEntrypoint": {
			"The entrypoint names one of the templates.", func(t *template) { t.Spec.Entrypoint = "go" }, `there is no template "go"`,
		},
		"Volumes": {
			"Only the entrypoint's template is copied, so a volume beside it would be missing.",
			func(t *template) { t.Spec.Volumes = []corev1.Volume{{Name: "v"}} }, "spec.volumes: only the entrypoint's template",
		},
		"Arguments": {
			"Arguments of the template's own Workflow mean nothing here.",
			func(t *template) { t.Spec.Arguments.Parameters = []wfv1.Parameter{{Name: "x"}} }, "spec.arguments",
		},
		"FieldsSorted": {
			"The first field in the alphabet is named, always the same.",
			func(t *template) { t.Spec.Suspend, t.Spec.HostNetwork = ptr.To(true), ptr.To(true) }, "spec.hostNetwork",
		},
		"DAG": {
			"An action is one pod.",
			run(func(t *wfv1.Template) { t.Container, t.DAG = nil, &wfv1.DAGTemplate{} }), "a container, script or resource template",
		},
		"Suspend": {
			"An action runs.",
			run(func(t *wfv1.Template) { t.Container, t.Suspend = nil, &wfv1.SuspendTemplate{} }), "a container, script or resource template",
		},
		"TwoKinds": {
			"Argo refuses a template of two kinds, and would do so only when the execution is on its way.",
			run(func(t *wfv1.Template) { t.Script = &wfv1.ScriptTemplate{Source: "x"} }), "script",
		},
		"RetryStrategy": {
			"Each step has its own retry.",
			run(func(t *wfv1.Template) { t.RetryStrategy = &wfv1.RetryStrategy{Limit: ptr.To(intstr.FromInt32(1))} }), "retryStrategy is not allowed",
		},
		"PodSpecPatch": {"The translator sets it.", run(func(t *wfv1.Template) { t.PodSpecPatch = "{}" }), "podSpecPatch is not allowed"},
		"Daemon":       {"A daemon never ends.", run(func(t *wfv1.Template) { t.Daemon = ptr.To(true) }), "daemon is not allowed"},
		"Memoize":      {"A remembered run is no run.", run(func(t *wfv1.Template) { t.Memoize = &wfv1.Memoize{} }), "memoize is not allowed"},
		"Synchronization": {
			"The target is the lock.", run(func(t *wfv1.Template) { t.Synchronization = &wfv1.Synchronization{} }), "synchronization is not allowed",
		},
		"ServiceAccount": {
			"A catalog must not lend rights.", run(func(t *wfv1.Template) { t.ServiceAccountName = "admin" }), "serviceAccountName is not allowed",
		},
		"InputArtifacts": {
			"Steps exchange parameters.",
			run(func(t *wfv1.Template) { t.Inputs.Artifacts = wfv1.Artifacts{{Name: "a"}} }), "inputs.artifacts is not allowed",
		},
		"OutputArtifacts": {
			"Steps exchange parameters.",
			run(func(t *wfv1.Template) { t.Outputs.Artifacts = wfv1.Artifacts{{Name: "a"}} }), "outputs.artifacts is not allowed",
		},
		"Metrics": {"The controller counts.", run(func(t *wfv1.Template) { t.Metrics = &wfv1.Metrics{} }), "metrics is not allowed"},
		"ParameterName": {
			"Expressions could not name it.", run(func(t *wfv1.Template) { t.Inputs.Parameters[0].Name = "a.b" }), `parameter "a.b": a name has`,
		},
		"ParameterNameUnicode": {
			"Letters are those of ASCII.", run(func(t *wfv1.Template) { t.Inputs.Parameters[0].Name = "größe" }), `parameter "größe": a name has`,
		},
		"ParameterNameless": {"A parameter has a name.", run(func(t *wfv1.Template) { t.Inputs.Parameters[0].Name = "" }), `parameter "": a name has`},
		"ParameterValueFrom": {
			"An input from a ConfigMap is outside of the execution.",
			run(func(t *wfv1.Template) { t.Inputs.Parameters[0].ValueFrom = &wfv1.ValueFrom{} }), `parameter "path": valueFrom is not allowed`,
		},
		"OutputName": {"Expressions could not name it.", run(func(t *wfv1.Template) { t.Outputs.Parameters[0].Name = "a b" }), `output "a b": a name has`},
		"OutputWithoutSource": {
			"An output without a source never comes.",
			run(func(t *wfv1.Template) { t.Outputs.Parameters[0].ValueFrom = nil }), `output "freed": valueFrom.default is required`,
		},
		"OutputWithoutDefault": {
			"A failed step would end in Error.",
			run(func(t *wfv1.Template) { t.Outputs.Parameters[0].ValueFrom.Default = nil }), `output "freed": valueFrom.default is required`,
		},
		"Base64Parameter": {
			"A typing error in the annotation would pass the value unencoded.",
			func(t *template) { t.Annotations[wfev1.AnnotationBase64Parameters] = "path,pth" }, `names parameter "pth"`,
		},
		"Base64Output": {
			"A typing error in the annotation would pass the output on undecoded.",
			func(t *template) { t.Annotations[wfev1.AnnotationBase64Outputs] = "fred" }, `names output "fred"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			broken := newTemplate()
			tc.breakIt(broken)
			_, err := NewAction("ClusterWorkflowTemplate", broken.ObjectMeta, &broken.Spec)
			if err == nil {
				t.Fatalf("%s\nthe template was accepted", tc.reason)
			}
			if text := err.Error(); !strings.Contains(text, tc.fragment) || !strings.HasPrefix(text, "ClusterWorkflowTemplate/tidy: ") {
				t.Errorf("%s\nwant an error of ClusterWorkflowTemplate/tidy with %q, got %q", tc.reason, tc.fragment, text)
			}
		})
	}
}
