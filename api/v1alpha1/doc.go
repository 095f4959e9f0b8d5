// Package v1alpha1 defines the WorkflowExecution API: what a user asks for, what the controller reports, and the phases,
// conditions, reasons and labels that both share. It holds types and their generated copies only: no behaviour beyond
// trivial predicates, and nothing of Argo.
//
// +kubebuilder:object:generate=true
// +groupName=workflowexecution.kubernaut.io
package v1alpha1
