#!/usr/bin/env bash
# Removes the controller and everything that it created, however it was installed, from the cluster of kubectl's current context:
# first the executions, while the controller can end them, then their Workflows, then all objects with the label
# app.kubernetes.io/part-of=workflowexecution. It can be repeated, and also works if the controller no longer runs.
# With --executions it stops before the last part, which `helm uninstall` does.
#
# Argo, its settings, and your own namespaces, service accounts, role bindings and templates stay.
set -euo pipefail

kubectl=${KUBECTL:-kubectl}
timeout=${TIMEOUT:-120s}
part=app.kubernetes.io/part-of=workflowexecution
ours=workflowexecution.kubernaut.io
finalizer=$ours/observed

# The CRDs of the cluster, read once; without an answer the script ends here.
definitions=$($kubectl get customresourcedefinitions -o name)
has() { [[ $definitions == *"customresourcedefinition.apiextensions.k8s.io/$1"* ]]; }
say() { echo "uninstall: $*" >&2; }
# again retries a command: the API server enforces a policy for a second after its deletion.
again() {
  for _ in 1 2 3 4 5; do "$@" 2>/dev/null && return; sleep 1; done
  "$@"
}

# Policies first: they refuse what follows.
$kubectl delete --ignore-not-found -l "$part" validatingadmissionpolicybindings,validatingadmissionpolicies

if has "workflowexecutions.$ours"; then
  $kubectl delete --ignore-not-found --all --all-namespaces --timeout="$timeout" "workflowexecutions.$ours"
fi

if has workflows.argoproj.io; then
  workflows=(workflows.argoproj.io --all-namespaces -l "$ours/role")
  again $kubectl delete --ignore-not-found --wait=false "${workflows[@]}"
  controllers=$($kubectl get deployments -A -l "$part,app.kubernetes.io/component=controller" -o 'jsonpath={.items[*].status.availableReplicas}')
  if [[ -n $controllers && -n $($kubectl get "${workflows[@]}" -o name) ]]; then
    say "waiting for the controller to record the end of its Workflows"
    $kubectl wait --for=delete --timeout="$timeout" "${workflows[@]}" || true
  fi
  # No controller records the end of the remaining ones and removes our finalizer. Other finalizers stay.
  template='{{range .items}}{{$w := .metadata}}{{range $i, $f := $w.finalizers}}{{if eq $f "'$finalizer'"}}{{$w.namespace}} {{$w.name}} {{$i}}{{"\n"}}{{end}}{{end}}{{end}}'
  left=$($kubectl get "${workflows[@]}" -o go-template="$template")
  while read -r namespace name index; do
    [[ -n $namespace ]] || continue
    say "removing the finalizer of the Workflow $namespace/$name: no controller recorded its end"
    path=/metadata/finalizers/$index
    $kubectl patch workflows.argoproj.io -n "$namespace" "$name" --type=json \
      -p '[{"op":"test","path":"'"$path"'","value":"'$finalizer'"},{"op":"remove","path":"'"$path"'"}]'
  done <<<"$left"
fi

# Snapshots that actions kept for rollbacks.
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
