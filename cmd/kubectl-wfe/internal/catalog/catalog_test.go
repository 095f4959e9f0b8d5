package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// TestBuiltIn compares the embedded catalog with its source folder.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	embedded, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := FromFolder("../../../../config/actions")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(folder), names(embedded)); diff != "" || len(embedded.Entries) == 0 {
		t.Errorf("%d actions, -folder +embedded:\n%s", len(embedded.Entries), diff)
	}
	if len(embedded.Problems) > 0 {
		t.Errorf("problems: %v", embedded.Problems)
	}
	scale := embedded.Find("scale-deployment")
	if scale == nil || !strings.HasPrefix(scale.Summary, "Sets the number of replicas") {
		t.Errorf("scale-deployment is %+v", scale)
	}
	if embedded.Actions()["scale-deployment"] != scale {
		t.Error("the translator's catalog has another scale-deployment")
	}
}

func names(c *Catalog) []string {
	var all []string
	for _, entry := range c.Entries {
		all = append(all, entry.Name+" "+entry.Source)
	}
	return all
}

const (
	namespacedKind = "WorkflowTemplate"
	clusterKind    = "ClusterWorkflowTemplate"
)

const body = `
spec:
  entrypoint: do
  templates:
  - name: do
    container: {image: x}
`

func manifest(kind, name, action string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: " + kind + "\nmetadata:\n  name: " + name +
		"\n  labels: {" + wfev1.LabelAction + ": " + action + "}" + body
}

func TestFromFolder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason   string
		files    map[string]string
		want     []string
		problems []string
		err      string
	}{
		"ManyDocuments": {
			reason: "a file can have several documents, and a folder other files",
			files: map[string]string{
				"a.yaml":         manifest(clusterKind, "b", "b") + "---\n" + manifest(clusterKind, "a", "a") + "---\nkind: ConfigMap\n",
				"deeper/c.yml":   manifest(clusterKind, "c", "c"),
				"README.md":      "not: [a manifest",
				"unlabelled.yml": strings.ReplaceAll(manifest(clusterKind, "d", "d"), wfev1.LabelAction, "other"),
			},
			want: []string{"a ClusterWorkflowTemplate/a", "b ClusterWorkflowTemplate/b", "c ClusterWorkflowTemplate/c"},
		},
		"NamespacedWins": {
			reason: "a namespaced template wins, as in the controller",
			files:  map[string]string{"a.yaml": manifest(clusterKind, "a", "a") + "---\n" + manifest(namespacedKind, "mine", "a")},
			want:   []string{"a WorkflowTemplate/mine"},
		},
		"BrokenNamespacedWins": {
			reason: "an invalid namespaced template hides the cluster's action, as in the controller",
			files:  map[string]string{"a.yaml": manifest(namespacedKind, "mine", "a") + "---\n" + manifest(namespacedKind, "mine-too", "a") + "---\n" + manifest(clusterKind, "a", "a")},
			problems: []string{
				`WorkflowTemplate/mine-too: 2 templates claim action "a", so none of them is used: remove the label from all but one`,
				`WorkflowTemplate/mine: 2 templates claim action "a", so none of them is used: remove the label from all but one`,
			},
		},
		"ClaimedTwice": {
			reason: "two templates with the same action label are both unused",
			files:  map[string]string{"a.yaml": manifest(clusterKind, "a", "x") + "---\n" + manifest(clusterKind, "b", "x")},
			problems: []string{
				`ClusterWorkflowTemplate/a: 2 templates claim action "x", so none of them is used: remove the label from all but one`,
				`ClusterWorkflowTemplate/b: 2 templates claim action "x", so none of them is used: remove the label from all but one`,
			},
		},
		"Broken": {
			reason:   "an invalid template is reported, and the others are used",
			files:    map[string]string{"a.yaml": manifest(clusterKind, "good", "good"), "b.yaml": strings.Replace(manifest(clusterKind, "bad", "bad"), "entrypoint: do", "entrypoint: none", 1)},
			want:     []string{"good ClusterWorkflowTemplate/good"},
			problems: []string{`ClusterWorkflowTemplate/bad: spec.entrypoint: there is no template "none"`},
		},
		"NotYAML": {
			reason: "the error names the file",
			files:  map[string]string{"a.yaml": "kind: [ClusterWorkflowTemplate"},
			err:    "read the catalog: a.yaml: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for file, content := range test.files {
				target := filepath.Join(folder, file)
				if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(target, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := FromFolder(folder)
			if test.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.err) {
					t.Fatalf("%s: error %v", test.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, names(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			if diff := cmp.Diff(test.problems, got.Problems); diff != "" {
				t.Errorf("%s: problems (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestOver(t *testing.T) {
	t.Parallel()
	base := build([]translate.Template{claim("a", "base-a"), claim("b", "base-b")})
	own := build([]translate.Template{claim("b", "own-b"), claim("c", "own-c")})
	want := []string{"a ClusterWorkflowTemplate/base-a", "b ClusterWorkflowTemplate/own-b", "c ClusterWorkflowTemplate/own-c"}
	if diff := cmp.Diff(want, names(own.Over(base))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func claim(action, name string) translate.Template {
	templates, err := decode([]byte(manifest(clusterKind, name, action)))
	if err != nil {
		panic(err)
	}
	return templates[0]
}

func TestFromFolderErrors(t *testing.T) {
	t.Parallel()
	if _, err := FromFolder("catalog.go"); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("error %v", err)
	}
	if _, err := FromFolder("nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v", err)
	}
}

// TestBuiltInRoles compares the roles with the built-in actions and their documentation.
func TestBuiltInRoles(t *testing.T) {
	t.Parallel()
	roles, err := BuiltInRoles()
	if err != nil {
		t.Fatal(err)
	}
	builtIn, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	documentation, err := os.ReadFile("../../../../config/actions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range builtIn.Entries {
		role, has := roles[action.Name]
		if !has || role.Undo == "" {
			t.Errorf("%s has the role %+v", action.Name, role)
			continue
		}
		if want := "ClusterRole `" + role.Name + "`, with a " + role.Binding() + ")"; !strings.Contains(string(documentation), want) {
			t.Errorf("the documentation of %s has no %q", action.Name, want)
		}
	}
	if len(roles[""].Rules) == 0 || roles[""].Name != StepRole {
		t.Errorf("the role of every step is %+v", roles[""])
	}
}
