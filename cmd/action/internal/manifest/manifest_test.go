package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/actions"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const folder = "../../../../config/actions"

func TestFilesAreGenerated(t *testing.T) {
	t.Parallel()
	want, err := Files(actions.All())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "embed.go" { // the one file that is written by hand
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		got[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config/actions differs from the declarations, run go generate ./cmd/action (-want +got):\n%s", diff)
	}
}

// TestTemplates parses the files as the API server and the controller do, and compares them with the declarations.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, action := range actions.All() {
		t.Run(action.Name, func(t *testing.T) {
			t.Parallel()
			var template wfv1.ClusterWorkflowTemplate
			readStrictly(t, action.Name+".yaml", &template)
			got, err := translate.NewAction(template.Kind, template.ObjectMeta, &template.Spec)
			if err != nil {
				t.Fatalf("the controller refuses the template: %v", err)
			}
			if got.Name != action.Name || template.Name != action.Name {
				t.Errorf("names: label %s, object %s, want %s", got.Name, template.Name, action.Name)
			}
			if diff := cmp.Diff(declaredParameters(action), got.Parameters); diff != "" {
				t.Errorf("parameters (-declared +template):\n%s", diff)
			}
			if diff := cmp.Diff(declaredOutputs(action), got.Outputs); diff != "" {
				t.Errorf("outputs (-declared +template):\n%s", diff)
			}
			leaf := template.Spec.Templates[0]
			checkEnvironment(t, action, leaf.Container.Env)
			checkRestricted(t, leaf)
			for _, o := range leaf.Outputs.Parameters {
				if want := contract.OutputsDirectory + "/" + o.Name; o.ValueFrom.Path != want {
					t.Errorf("output %s is read from %s, written to %s", o.Name, o.ValueFrom.Path, want)
				}
			}
			if diff := cmp.Diff([]string{action.Name}, leaf.Container.Args); diff != "" {
				t.Errorf("subcommand (-want +got):\n%s", diff)
			}
		})
	}
}

func readStrictly(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func declaredParameters(action contract.Action) []translate.ActionParameter {
	var all []translate.ActionParameter
	for _, p := range action.Parameters {
		declared := translate.ActionParameter{Name: p.Name, Description: p.Description, Enum: p.Enum, Base64: p.Base64}
		if !p.Required {
			declared.Default = &p.Default
		}
		all = append(all, declared)
	}
	return all
}

func declaredOutputs(action contract.Action) []translate.ActionOutput {
	var all []translate.ActionOutput
	for _, o := range action.Outputs {
		all = append(all, translate.ActionOutput{Name: o.Name, Description: o.Description, Base64: o.Base64})
	}
	return all
}

// checkEnvironment verifies that the template sets every variable that the binary reads.
func checkEnvironment(t *testing.T, action contract.Action, env []corev1.EnvVar) {
	t.Helper()
	got := map[string]string{}
	for _, e := range env {
		got[e.Name] = e.Value
		if e.ValueFrom != nil {
			got[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	want := map[string]string{
		contract.VariableWorkflow:    "{{workflow.name}}",
		contract.VariableWorkflowUID: "{{workflow.uid}}",
		contract.VariableNamespace:   "metadata.namespace",
		contract.VariablePod:         "metadata.name",
	}
	for _, p := range action.Parameters {
		want[p.Variable()] = "{{inputs.parameters." + p.Name + "}}"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func checkRestricted(t *testing.T, leaf wfv1.Template) {
	t.Helper()
	c := leaf.Container.SecurityContext
	restricted := c != nil && *c.RunAsNonRoot && !*c.AllowPrivilegeEscalation && *c.ReadOnlyRootFilesystem &&
		slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) && c.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault
	if !restricted {
		t.Errorf("the container is not restricted: %+v", c)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, action := range actions.All() {
		t.Run(action.Name, func(t *testing.T) {
			t.Parallel()
			var role rbacv1.ClusterRole
			readStrictly(t, "rbac/"+action.Name+".yaml", &role)
			if role.Name != contract.RoleName(action.Name) {
				t.Errorf("the role is called %s", role.Name)
			}
			if diff := cmp.Diff(action.Rules, role.Rules, cmp.Transformer("nil", func(r []rbacv1.PolicyRule) []rbacv1.PolicyRule {
				return append([]rbacv1.PolicyRule{}, r...)
			})); diff != "" {
				t.Errorf("rules (-declared +role):\n%s", diff)
			}
			for _, rule := range role.Rules {
				if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") {
					t.Errorf("a role must not contain wildcards: %v", rule)
				}
			}
		})
	}
}

// TestDeclarations verifies the rules for declarations.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, action := range actions.All() {
		if names[action.Name] {
			t.Errorf("%s is declared twice", action.Name)
		}
		names[action.Name] = true
		parameters := map[string]contract.Parameter{}
		for _, p := range action.Parameters {
			parameters[p.Name] = p
			if p.Description == "" || p.Required && p.Default != "" {
				t.Errorf("%s: parameter %s needs a description, and a default only when it is not required", action.Name, p.Name)
			}
			if p.Check != nil && p.Default != "" && p.Check(p.Default) != nil {
				t.Errorf("%s: the default of parameter %s is refused", action.Name, p.Name)
			}
		}
		if p := parameters[contract.ParameterDryRun]; p.Default != "false" || !slices.Equal(p.Enum, []string{"true", "false"}) {
			t.Errorf("%s has no dry-run parameter", action.Name)
		}
		changes := slices.ContainsFunc(action.Outputs, func(o contract.Output) bool { return o.Name == contract.OutputChanged })
		if _, hasStep := parameters[contract.ParameterStep]; hasStep != changes {
			t.Errorf("%s: an action that changes something has the parameter step and the output changed; others have neither", action.Name)
		}
		if !strings.HasSuffix(action.Summary, ".") || action.Undo == "" {
			t.Errorf("%s: the summary must be a sentence and undo must be set", action.Name)
		}
	}
}
