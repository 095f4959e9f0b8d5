package controllers

import (
	corev1 "k8s.io/api/core/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// transformWorkflow is the cache's transformation of Workflows: their nodes are most of the controller's memory.
func transformWorkflow(object any) (any, error) {
	wf, ok := object.(*wfv1.Workflow)
	if !ok {
		return object, nil
	}
	return translate.Compact(wf)
}

// transformExecution is the cache's transformation of executions: it drops what only other programs read. The status stays
// whole, since an update sends all of it.
func transformExecution(object any) (any, error) {
	wfe, ok := object.(*wfev1.WorkflowExecution)
	if !ok {
		return object, nil
	}
	wfe.ManagedFields = nil
	delete(wfe.Annotations, corev1.LastAppliedConfigAnnotation)
	return wfe, nil
}
