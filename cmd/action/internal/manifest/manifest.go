package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// Image is the image of the binary. An installation replaces it with the images field of its kustomization.
const Image = "ghcr.io/kubernaut-io/workflowexecution-action:v0.1.0"

const header = "# Generated from the declaration of the action in cmd/action/internal/actions; run `go generate ./cmd/action`.\n"

var templateText = header + `apiVersion: argoproj.io/v1alpha1
kind: ClusterWorkflowTemplate
metadata:
  name: {{.Name}}
  labels:
    app.kubernetes.io/name: workflowexecution
    app.kubernetes.io/component: action
    workflowexecution.kubernaut.io/action: {{.Name}}
  annotations:
    workflows.argoproj.io/description: {{quote .Summary}}
{{- with encoded .Parameters}}
    workflowexecution.kubernaut.io/base64-parameters: {{.}}
{{- end}}
{{- with encodedOutputs .Outputs}}
    workflowexecution.kubernaut.io/base64-outputs: {{.}}
{{- end}}
spec:
  entrypoint: {{.Name}}
  templates:
  - name: {{.Name}}
    inputs:
      parameters:
{{- range .Parameters}}
      - name: {{.Name}}
        description: {{quote .Description}}
{{- if not .Required}}
        default: {{quote .Default}}
{{- end}}
{{- with .Enum}}
        enum: [{{range $i, $word := .}}{{if $i}}, {{end}}{{quote $word}}{{end}}]
{{- end}}
{{- end}}
    outputs:
      parameters:
{{- range .Outputs}}
      - name: {{.Name}}
        description: {{quote .Description}}
        valueFrom: {path: /wfe/outputs/{{.Name}}, default: ""}
{{- end}}
{{- if .ToleratesUnschedulable}}
    tolerations:
    - {operator: Exists, effect: NoSchedule}
{{- end}}
    volumes:
    - name: outputs
      emptyDir: {sizeLimit: 4Mi}
    container:
      image: ` + Image + `
      imagePullPolicy: IfNotPresent
      command: [/action]
      args: [{{.Name}}]
      env:
      - {name: WFE_WORKFLOW, value: "{{"{{workflow.name}}"}}"}
      - {name: WFE_WORKFLOW_UID, value: "{{"{{workflow.uid}}"}}"}
      - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
      - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- range .Parameters}}
      - {name: {{.Variable}}, value: "{{"{{inputs.parameters."}}{{.Name}}{{"}}"}}"}
{{- end}}
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 128Mi}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
        readOnlyRootFilesystem: true
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: {type: RuntimeDefault}
      volumeMounts:
      - {name: outputs, mountPath: /wfe/outputs}
`

var roleText = header + `# {{.Summary}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{role .Name}}
  labels:
    app.kubernetes.io/name: workflowexecution
    app.kubernetes.io/component: action
    workflowexecution.kubernaut.io/action: {{.Name}}
{{- if .AggregatedVerbs}}
# The rules of ClusterRoles with this label are added here. Grant {{join .AggregatedVerbs " and "}} on the kinds that steps name.
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {{"{"}}{{aggregation .Name}}: "true"}
{{- end}}
{{- if not .Rules}}
rules: []
{{- else}}
rules:
{{- end}}
{{- range .Rules}}
- apiGroups: {{list .APIGroups}}
  resources: {{list .Resources}}
  verbs: {{list .Verbs}}
{{- end}}
`

// Template returns the ClusterWorkflowTemplate of an action.
func Template(action contract.Action) (string, error) { return render(templateText, action) }

// Role returns the ClusterRole of an action.
func Role(action contract.Action) (string, error) { return render(roleText, action) }

func render(text string, action contract.Action) (string, error) {
	functions := template.FuncMap{
		"quote":          quote,
		"join":           strings.Join,
		"list":           list,
		"role":           contract.RoleName,
		"aggregation":    contract.AggregationLabel,
		"encoded":        encodedParameters,
		"encodedOutputs": encodedOutputs,
	}
	t, err := template.New(action.Name).Funcs(functions).Parse(text)
	if err != nil {
		return "", fmt.Errorf("parsing the text of a manifest: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, action); err != nil {
		return "", fmt.Errorf("writing the manifest of %s: %w", action.Name, err)
	}
	return b.String(), nil
}

// quote returns a JSON string, which is also a YAML string.
func quote(text string) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(text)
	return strings.TrimSpace(b.String()), err
}

// list returns a flow sequence. Only the core API group and the wildcard need quotes.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || word == "*" {
			quoted[i] = `"` + word + `"`
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func encodedParameters(parameters []contract.Parameter) string {
	var names []string
	for _, p := range parameters {
		if p.Base64 {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ",")
}

func encodedOutputs(outputs []contract.Output) string {
	var names []string
	for _, o := range outputs {
		if o.Base64 {
			names = append(names, o.Name)
		}
	}
	return strings.Join(names, ",")
}
