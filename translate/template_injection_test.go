package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// TestNewActionRefusesInjection puts an input into one field at a time, where a value would become part of a program.
func TestNewActionRefusesInjection(t *testing.T) {
	fields := map[string]func(t *wfv1.Template, text string){
		"container.image":   func(t *wfv1.Template, text string) { t.Container.Image = text },
		"container.command": func(t *wfv1.Template, text string) { t.Container.Command = []string{"sh", text} },
		"container.args":    func(t *wfv1.Template, text string) { t.Container.Args = []string{"-c", text} },
		"script.image":      func(t *wfv1.Template, text string) { script(t).Image = text },
		"script.command":    func(t *wfv1.Template, text string) { script(t).Command = []string{text} },
		"script.args":       func(t *wfv1.Template, text string) { script(t).Args = []string{text} },
		"script.source":     func(t *wfv1.Template, text string) { script(t).Source = "echo " + text },
		"initContainers": func(t *wfv1.Template, text string) {
			t.InitContainers = []wfv1.UserContainer{{Container: corev1.Container{Name: "i", Args: []string{text}}}}
		},
		"resource.action":           func(t *wfv1.Template, text string) { resource(t).Action = text },
		"resource.mergeStrategy":    func(t *wfv1.Template, text string) { resource(t).MergeStrategy = text },
		"resource.flags":            func(t *wfv1.Template, text string) { resource(t).Flags = []string{text} },
		"resource.successCondition": func(t *wfv1.Template, text string) { resource(t).SuccessCondition = text },
		"resource.failureCondition": func(t *wfv1.Template, text string) { resource(t).FailureCondition = text },
		"sidecars": func(t *wfv1.Template, text string) {
			t.Sidecars = []wfv1.UserContainer{{Container: corev1.Container{Name: "s", Command: []string{text}}}}
		},
	}
	spellings := map[string]string{
		"Plain": "{{inputs.parameters.path}}", "Spaces": "{{ inputs.parameters.path }}", "Expression": "{{=inputs.parameters.path}}",
		"SpacedExpression": "{{=\n inputs.parameters['path'] }}", "InsideAnExpression": "{{=toJson(inputs.parameters.path)}}",
	}
	for spelling, text := range spellings {
		if got := replaceLikeArgo(t, text, map[string]any{"inputs.parameters.path": "evil"}); !strings.Contains(got, "evil") {
			t.Fatalf("%s is not replaced by Argo: %q", spelling, got)
		}
	}
	for field, set := range fields {
		for spelling, text := range spellings {
			t.Run(field+"/"+spelling, func(t *testing.T) {
				template := newTemplate()
				set(&template.Spec.Templates[1], text)
				_, err := NewAction("ClusterWorkflowTemplate", template.ObjectMeta, &template.Spec)
				if err == nil || !strings.Contains(err.Error(), field) {
					t.Errorf("want an error that names %s, got %v", field, err)
				}
			})
		}
	}
	harmless := newTemplate()
	harmless.Spec.Templates[1].Container.Args = []string{"{{workflow.name}}", "inputs.parameters.path", "{{pod.name}}"}
	if _, err := NewAction("ClusterWorkflowTemplate", harmless.ObjectMeta, &harmless.Spec); err != nil {
		t.Errorf("a command without an input is allowed: %v", err)
	}
}

// TestManifestTakesJSON checks that any value in a manifest remains one value.
func TestManifestTakesJSON(t *testing.T) {
	accepted := []string{"{{=toJson(inputs.parameters.path)}}", "{{= toJson(inputs.parameters['path']) }}", "{{=toJson(lower(inputs.parameters.path))}}"}
	hostile := []string{"x}\nspec: {paused: true}", `"`, "'", "&a *a", "a: b", "{{workflow.name}}", "ä\\u0041\t"}
	for _, text := range accepted {
		template := newTemplate()
		resource(&template.Spec.Templates[1]).Manifest = "metadata: {name: " + text + "}"
		if _, err := NewAction("ClusterWorkflowTemplate", template.ObjectMeta, &template.Spec); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, value := range hostile {
		manifest := replaceLikeArgo(t, "metadata: {name: "+accepted[0]+"}", map[string]any{"inputs.parameters.path": value})
		var got map[string]map[string]string
		if err := yaml.Unmarshal([]byte(manifest), &got); err != nil {
			t.Fatalf("%q became %s: %v", value, manifest, err)
		}
		if diff := cmp.Diff(map[string]map[string]string{"metadata": {"name": value}}, got); diff != "" {
			t.Errorf("%q became more than a value (-want +got):\n%s", value, diff)
		}
	}
	for _, text := range []string{
		"{{inputs.parameters.path}}", "{{=inputs.parameters.path}}", "{{=toJson(inputs.parameters.path) + 'x'}}",
		"{{=toJson('a') + inputs.parameters.path + ('b')}}", "{{=toJson(inputs.parameters.path}}",
	} {
		template := newTemplate()
		resource(&template.Spec.Templates[1]).Manifest = text
		if _, err := NewAction("ClusterWorkflowTemplate", template.ObjectMeta, &template.Spec); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

// resource makes the template a resource template.
func resource(t *wfv1.Template) *wfv1.ResourceTemplate {
	t.Container, t.Resource = nil, &wfv1.ResourceTemplate{Action: "patch"}
	return t.Resource
}

// script makes the template a script template.
func script(t *wfv1.Template) *wfv1.ScriptTemplate {
	t.Container, t.Script = nil, &wfv1.ScriptTemplate{Container: corev1.Container{Image: "sh"}, Source: "true"}
	return t.Script
}
