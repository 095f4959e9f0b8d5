package manifest

import (
	"fmt"
	"strings"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// StepRoleFile is the file of the role that the service account of every step needs.
const StepRoleFile = "rbac/step.yaml"

const stepRole = header + `# The service account of every step needs this role: Argo's executor uses it to report outputs.
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

// Files returns every generated file, keyed by its path below config/actions.
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

Each action is a ClusterWorkflowTemplate that runs a subcommand of the program cmd/action. An action returns when its effect
is reached, can be retried at any point, and provides the outputs that a rollback needs.

| action | undo |
|---|---|
`

const readmeContract = `
The controller sets the parameters ` + "`dry-run` and, for actions that change something, `step`" + `.
Exit codes: 0 done, 1 failed (a retry may succeed), 64 failed (no retry can succeed), 143 stopped. If an action fails, the
termination message of its container is ` + "`{\"reason\":…,\"message\":…}`" + `. The service account of a step needs the ClusterRole
` + "`workflowexecution-step`" + ` and the ClusterRole of its action. Bind both with a RoleBinding in the namespace of the step, or
with a ClusterRoleBinding where the action's section names one.
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
	fmt.Fprintf(b, "\nPermissions (ClusterRole `%s`, with a %s): %s\n", contract.RoleName(action.Name), action.Binding(), permissions(action))
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
		words = append(words, "any bytes")
	}
	return strings.Join(words, ", ")
}

func permissions(action contract.Action) string {
	if len(action.AggregatedVerbs) > 0 {
		return strings.Join(action.AggregatedVerbs, " and ") + " on the kinds that steps name, from ClusterRoles with the label `" + contract.AggregationLabel(action.Name) + "=true`."
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
