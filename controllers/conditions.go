package controllers

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxMessageBytes bounds a condition's message.
const maxMessageBytes = 1024

// stepsAreRunning is the message from the start to the end of an ordinary run, so that neither costs a write of its own.
const stepsAreRunning = "steps are running"

func shorten(message string) string { return translate.Truncate(message, maxMessageBytes) }

func setCondition(wfe *wfev1.WorkflowExecution, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&wfe.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: shorten(message), ObservedGeneration: wfe.Generation,
	})
}

func setReconciling(wfe *wfev1.WorkflowExecution, reason, message string) {
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionTrue, reason, message)
}

// observeGeneration records that the status and each of its conditions is about the present generation: what can be edited
// changes none of the conditions, and kubectl wait passes over those of an earlier generation.
func observeGeneration(wfe *wfev1.WorkflowExecution) {
	wfe.Status.ObservedGeneration = wfe.Generation
	for i := range wfe.Status.Conditions {
		wfe.Status.Conditions[i].ObservedGeneration = wfe.Generation
	}
}

func setValid(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionTrue, wfev1.ReasonAccepted, "the specification fits the catalog")
}

func setInvalid(wfe *wfev1.WorkflowExecution, reason wfev1.FailureReason, message string) {
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionFalse, string(reason), message)
}

func setAdmitted(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionAdmitted, metav1.ConditionTrue, wfev1.ReasonTargetFree, "the execution holds the lock on its target")
}

func setNotAdmitted(wfe *wfev1.WorkflowExecution, obstacle admission.Obstacle) {
	setCondition(wfe, wfev1.ConditionAdmitted, metav1.ConditionFalse, obstacle.Reason, obstacle.Message)
	setReconciling(wfe, obstacle.Reason, obstacle.Waiting)
}

func setNamespaceReady(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionNamespaceReady, metav1.ConditionTrue, wfev1.ReasonReady, "the namespace has what steps need")
}

// setNodesReadable records whether the nodes of the Workflow can be read; a nil missing says that they can.
func setNodesReadable(wfe *wfev1.WorkflowExecution, missing *workflows.MissingNodes) {
	switch {
	case missing != nil:
		setCondition(wfe, wfev1.ConditionNodeStatusUnavailable, metav1.ConditionTrue, missing.Reason, missing.Message)
	case meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionNodeStatusUnavailable):
		setCondition(wfe, wfev1.ConditionNodeStatusUnavailable, metav1.ConditionFalse, wfev1.ReasonAvailable, "the nodes can be read")
	}
}

func noteEngineAvailable(wfe *wfev1.WorkflowExecution) {
	if meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionEngineAvailable) {
		setCondition(wfe, wfev1.ConditionEngineAvailable, metav1.ConditionTrue, wfev1.ReasonAvailable, "Argo Workflows is installed")
	}
}
