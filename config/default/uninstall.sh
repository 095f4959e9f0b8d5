#!/usr/bin/env bash
# Removes the controller and all that it made, however it was installed, from the cluster of kubectl's current context: first
# the executions, while there is a controller that can end them, then their Workflows, then all objects with the label
# app.kubernetes.io/part-of=workflowexecution. It may be repeated, and works as well when the controller is gone already.
# With --executions it stops before the last part, for `helm uninstall` to do it.
#
# Argo, its settings and what you made yourself (namespaces, service accounts, role bindings, templates) stay.
set -euo pipefail

kubectl=${KUBECTL:-kubectl}
patience=${PATIENCE:-120s}
part=app.kubernetes.io/part-of=workflowexecution
ours=workflowexecution.kubernaut.io
finalizer=$ours/observed

# The kinds of the cluster, asked once; a cluster that does not answer ends the script here.
definitions=$($kubectl get customresourcedefinitions -o name)
has() { [[ $definitions == *"customresourcedefinition.apiextensions.k8s.io/$1"* ]]; }
say() { echo "uninstall: $*" >&2; }
# again does what the API server may refuse for a moment more: it goes on to enforce a policy for a second after its end.
again() {
  for _ in 1 2 3 4 5; do "$@" 2>/dev/null && return; sleep 1; done
  "$@"
}

# Policies first: they refuse what follows.
$kubectl delete --ignore-not-found -l "$part" validatingadmissionpolicybindings,validatingadmissionpolicies

if has "workflowexecutions.$ours"; then
  $kubectl delete --ignore-not-found --all --all-namespaces --timeout="$patience" "workflowexecutions.$ours"
fi

if has workflows.argoproj.io; then
  workflows=(workflows.argoproj.io --all-namespaces -l "$ours/role")
  again $kubectl delete --ignore-not-found --wait=false "${workflows[@]}"
  controllers=$($kubectl get deployments -A -l "$part,app.kubernetes.io/component=controller" -o 'jsonpath={.items[*].status.availableReplicas}')
  if [[ -n $controllers && -n $($kubectl get "${workflows[@]}" -o name) ]]; then
    say "waiting for the controller to record the end of its Workflows"
    $kubectl wait --for=delete --timeout="$patience" "${workflows[@]}" || true
  fi
  # Nobody records the end of those that are left, so nobody takes our finalizer off. Other finalizers are not ours to take.
  template='{{range .items}}{{$w := .metadata}}{{range $i, $f := $w.finalizers}}{{if eq $f "'$finalizer'"}}{{$w.namespace}} {{$w.name}} {{$i}}{{"\n"}}{{end}}{{end}}{{end}}'
  left=$($kubectl get "${workflows[@]}" -o go-template="$template")
  while read -r namespace name index; do
    [[ -n $namespace ]] || continue
    say "releasing the Workflow $namespace/$name, whose end nobody recorded"
    path=/metadata/finalizers/$index
    $kubectl patch workflows.argoproj.io -n "$namespace" "$name" --type=json \
      -p '[{"op":"test","path":"'"$path"'","value":"'$finalizer'"},{"op":"remove","path":"'"$path"'"}]'
  done <<<"$left"
fi

# What actions kept for undoing, which nothing will be any more.
$kubectl delete --ignore-not-found --all-namespaces -l "$ours/snapshot-of" configmaps,secrets

[[ ${1:-} != --executions ]] || exit 0

$kubectl delete --ignore-not-found -l "$part" namespaces
namespaced=deployments,services,poddisruptionbudgets,networkpolicies,configmaps,secrets,serviceaccounts,rolebindings,roles
for kind in workflowtemplates.argoproj.io servicemonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com; do
  ! has $kind || namespaced+=,$kind
done
$kubectl delete --ignore-not-found --all-namespaces -l "$part" "$namespaced"
cluster=clusterrolebindings,clusterroles
! has clusterworkflowtemplates.argoproj.io || cluster+=,clusterworkflowtemplates.argoproj.io
$kubectl delete --ignore-not-found -l "$part" "$cluster"
$kubectl delete --ignore-not-found "customresourcedefinitions/workflowexecutions.$ours"
