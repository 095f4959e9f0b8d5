package manifest

import (
	"fmt"
	"strings"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// StepRoleFile is the file of the role that every step's service account needs, whatever its action.
const StepRoleFile = "rbac/step.yaml"

const stepRole = header + `# What every service account of a step needs, whatever its action: Argo's executor reports outputs with it.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: workflowexecution-step
  labels:
    app.kubernetes.io/name: workflowexecution
    app.kubernetes.io/component: action
rules:
- apiGroups: [argoproj.io]
  resources: [workflowtaskresults]
  verbs: [create, patch]
`

// Files is every generated file below config/actions, by its path there.
func Files(actions []contract.Action) (map[string]string, error) {
	files := map[string]string{
		StepRoleFile:              stepRole,
		"kustomization.yaml":      kustomization(actions, ""),
		"rbac/kustomization.yaml": kustomization(actions, "- step.yaml\n"),
		"README.md":               readme(actions),
	}
	for _, action := range actions {
		template, err := Template(action)
		if err != nil {
			return nil, err
		}
		role, err := Role(action)
		if err != nil {
			return nil, err
		}
		files[action.Name+".yaml"] = template
		files["rbac/"+action.Name+".yaml"] = role
	}
	return files, nil
}

func kustomization(actions []contract.Action, first string) string {
	var b strings.Builder
	b.WriteString(header + "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" + first)
	for _, action := range actions {
		fmt.Fprintf(&b, "- %s.yaml\n", action.Name)
	}
	return b.String()
}

const readmeHead = `<!-- Generated from the declarations in cmd/action/internal/actions; run go generate ./cmd/action. -->
# Built-in actions

Each action is a ClusterWorkflowTemplate that runs the subcommand of its name in the program cmd/action. It returns when its
effect is true, is safe to try again at any point, and leaves outputs that undo needs.

| action | undo |
|---|---|
`

const readmeContract = `
All actions take ` + "`dry-run`, and those that recognise their own work in a second attempt `step`" + `; the controller fills in both.
Exit codes: 0 done, 1 failed (another attempt may help), 64 no attempt will ever work, 143 stopped. A failure leaves
` + "`{\"reason\":…,\"message\":…}`" + ` as the container's termination message. A step's service account needs the ClusterRole
` + "`workflowexecution-step`" + ` and the one of its action, by a RoleBinding in its namespace (a ClusterRoleBinding where the table says so).
`

func readme(actions []contract.Action) string {
	var b strings.Builder
	b.WriteString(readmeHead)
	for _, action := range actions {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", action.Name, action.Name, action.Undo)
	}
	b.WriteString(readmeContract)
	for _, action := range actions {
		describe(&b, action)
	}
	return b.String()
}

func describe(b *strings.Builder, action contract.Action) {
	fmt.Fprintf(b, "\n## %s\n%s Undo: %s.\n\n| parameter | | meaning |\n|---|---|---|\n", action.Name, action.Summary, action.Undo)
	for _, p := range action.Parameters {
		if p.Name == contract.ParameterStep || p.Name == contract.ParameterDryRun {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", p.Name, need(p), cell(p.Description))
	}
	b.WriteString("\n| output | meaning |\n|---|---|\n")
	for _, o := range action.Outputs {
		fmt.Fprintf(b, "| `%s` | %s |\n", o.Name, cell(o.Description))
	}
	binding := "RoleBinding"
	if action.ClusterScoped {
		binding = "ClusterRoleBinding"
	}
	fmt.Fprintf(b, "\nPermissions (ClusterRole `%s`, by a %s): %s\n", contract.RoleName(action.Name), binding, permissions(action))
}

func need(p contract.Parameter) string {
	words := []string{}
	switch {
	case p.Required:
		words = append(words, "required")
	case p.Default != "":
		words = append(words, "default `"+p.Default+"`")
	default:
		words = append(words, "optional")
	}
	if len(p.Enum) > 0 {
		words = append(words, "one of `"+strings.Join(p.Enum, "`, `")+"`")
	}
	if p.Base64 {
		words = append(words, "may hold anything")
	}
	return strings.Join(words, ", ")
}

func permissions(action contract.Action) string {
	if action.Aggregated {
		return "get, patch on what may be patched, by ClusterRoles with the label `" + contract.AggregationLabel(action.Name) + "=true`."
	}
	if len(action.Rules) == 0 {
		return "none."
	}
	lines := make([]string, len(action.Rules))
	for i, r := range action.Rules {
		lines[i] = fmt.Sprintf("%s on `%s`", strings.Join(r.Verbs, ", "), strings.Join(r.Resources, "`, `"))
	}
	return strings.Join(lines, "; ") + "."
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
