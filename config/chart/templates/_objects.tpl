{{/*
The chart has no manifests of its own: files holds those of config, and these templates give them what depends on the
release and its values. So there is nothing that could differ from what kustomize installs.
*/}}

{{/* An object of a manifest, with the release's labels and namespace. Takes root and object. */}}
{{- define "workflowexecution.object" -}}
{{- $root := .root }}
{{- $object := .object }}
{{- $labels := dict
  "app.kubernetes.io/name" "workflowexecution"
  "app.kubernetes.io/part-of" "workflowexecution"
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) }}
{{- $_ := set $object.metadata "labels" (merge $labels ($object.metadata.labels | default dict)) }}
{{- if not (or (hasPrefix "Cluster" $object.kind) (hasPrefix "Custom" $object.kind) (hasPrefix "ValidatingAdmission" $object.kind)) }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}

{{/* A file of manifests as a list of objects, in JSON under "items", with the release's namespace and service account. */}}
{{- define "workflowexecution.read" -}}
{{- $namespace := "workflowexecution-system" }}
{{- $account := .root.Values.serviceAccount.name }}
{{- $text := .root.Files.Get (printf "files/%s" .file) | required (printf "the chart lacks files/%s" .file) }}
{{- $text = $text | replace (printf "%s:controller" $namespace) (printf "%s:%s" $namespace $account) | replace $namespace .root.Release.Namespace
  | replace "system:serviceaccount:argo:argo" .root.Values.policies.argo }}
{{- $objects := list }}
{{- range regexSplit "(?m)^---$" $text -1 }}
{{- $object := fromYaml . }}
{{- if hasKey $object "Error" }}{{ fail (printf "%s: %s" $.file $object.Error) }}{{ end }}
{{- range $subject := $object.subjects }}
{{- if and (eq $subject.kind "ServiceAccount") (eq $subject.name "controller") }}{{ $_ := set $subject "name" $account }}{{ end }}
{{- end }}
{{- if $object.kind }}{{ $objects = append $objects $object }}{{ end }}
{{- end }}
{{- dict "items" $objects | toJson }}
{{- end }}

{{/* All objects of a file. Takes root and file. */}}
{{- define "workflowexecution.objects" -}}
{{- range (include "workflowexecution.read" . | fromJson).items }}
{{ include "workflowexecution.object" (dict "root" $.root "object" .) }}
{{- end }}
{{- end }}
