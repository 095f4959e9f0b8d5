package translate

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// claim is a template of the cluster, or of a namespace if one is named, that claims an action.
func claim(namespace, name, action string, breakIt ...func(*wfv1.WorkflowSpec)) Template {
	whole := newTemplate()
	whole.Name, whole.Namespace, whole.Labels = name, namespace, map[string]string{wfev1.LabelAction: action}
	for _, b := range breakIt {
		b(&whole.Spec)
	}
	if namespace == "" {
		return whole
	}
	return &wfv1.WorkflowTemplate{ObjectMeta: whole.ObjectMeta, Spec: whole.Spec}
}

func withoutEntrypoint(spec *wfv1.WorkflowSpec) { spec.Entrypoint = "" }

func TestCatalog(t *testing.T) {
	cases := map[string]struct {
		reason    string
		templates []Template
		catalog   map[string]string
		broken    map[string]string
	}{
		"Whole": {
			"Every template is an action of its own.",
			[]Template{claim("", "a", "one"), claim("shop", "b", "two")},
			map[string]string{"one": "ClusterWorkflowTemplate/a", "two": "WorkflowTemplate/b"}, nil,
		},
		"Broken": {
			"What is broken does not stop the others.",
			[]Template{claim("", "a", "one", withoutEntrypoint), claim("", "b", "two")},
			map[string]string{"two": "ClusterWorkflowTemplate/b"},
			map[string]string{"a": `ClusterWorkflowTemplate/a: spec.entrypoint: there is no template ""`},
		},
		"Twice": {
			"Neither of two templates has precedence, so neither is used.",
			[]Template{claim("", "a", "one"), claim("", "b", "one"), claim("", "c", "two")},
			map[string]string{"two": "ClusterWorkflowTemplate/c"},
			map[string]string{
				"a": `ClusterWorkflowTemplate/a: 2 templates claim action "one", so none of them is used: remove the label from all but one`,
				"b": `ClusterWorkflowTemplate/b: 2 templates claim action "one", so none of them is used: remove the label from all but one`,
			},
		},
		"Namespaced": {
			"A namespace's template comes first, wherever it is listed, and takes nothing from the cluster's.",
			[]Template{claim("shop", "b", "one"), claim("", "a", "one")},
			map[string]string{"one": "WorkflowTemplate/b"}, nil,
		},
		"NamespacedBroken": {
			"An error in the namespace's template must not make the cluster's run instead.",
			[]Template{claim("", "a", "one"), claim("shop", "b", "one", withoutEntrypoint)},
			map[string]string{},
			map[string]string{"b": `WorkflowTemplate/b: spec.entrypoint: there is no template ""`},
		},
		"TwoNamespaces": {
			"Namespaces claim names of their own.",
			[]Template{claim("shop", "a", "one"), claim("bank", "a", "one")},
			map[string]string{"one": "WorkflowTemplate/a"}, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claims := NewClaims(tc.templates)
			catalog, broken := map[string]string{}, map[string]string{}
			for action, a := range NewCatalog(claims) {
				catalog[action] = a.Source
			}
			for _, c := range Broken(claims) {
				broken[c.Template.GetName()] = c.Problem.Error()
			}
			want := map[string]string{}
			maps.Copy(want, tc.broken)
			if diff := cmp.Diff(tc.catalog, catalog); diff != "" {
				t.Errorf("%s\ncatalog (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(want, broken); diff != "" {
				t.Errorf("%s\nbroken (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
