package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// liveSteps is the number of steps, and so of nodes, of a seeded execution.
const liveSteps = 20

// seed creates an execution and its Workflow in the state in which the controller and Argo leave them: live, with one running
// step and completed ones, or ended. makeStale makes the status of a live one stale.
func (p *controlPlane) seed(ctx context.Context, name string, ended *time.Time) error {
	const steps = liveSteps
	wfe := p.simple(name, steps)
	if err := p.Admin.Create(ctx, wfe); err != nil {
		return err
	}
	wf := plan(wfe, p.catalog).Workflow(translate.Options{ServiceAccountName: "default"})
	run(wf, 0)
	status := seededStatus(wfe)
	if ended == nil {
		setRunning(wf, wfe.Spec.Steps[steps-1].Name)
		status.Steps, status.Progress = translate.Steps(status.Steps, wf), fmt.Sprintf("%d/%d", steps-1, steps)
	} else {
		wf.Finalizers, wf.Status.Phase, wf.Status.FinishedAt = nil, wfv1.WorkflowSucceeded, metav1.NewTime(*ended)
		wf.Labels[wfev1.LabelObserved] = "true"
		status.Steps = translate.Steps(status.Steps, wf)
		status.Progress, status.Phase = fmt.Sprintf("%d/%d", steps, steps), wfev1.PhaseCompleted
		status.StartTime, status.CompletionTime = ptr.To(metav1.NewTime(ended.Add(-time.Minute))), ptr.To(metav1.NewTime(*ended))
		status.ParallelSteps = ptr.To(int32(0))
		setCondition(status, wfev1.ConditionReconciling, metav1.ConditionFalse, "Completed", "every critical step completed")
		setCondition(status, wfev1.ConditionComplete, metav1.ConditionTrue, "Completed", "every critical step completed")
	}
	// Argo's cache selects and counts by these labels.
	wf.Labels["workflows.argoproj.io/phase"] = string(wf.Status.Phase)
	wf.Labels["workflows.argoproj.io/completed"] = strconv.FormatBool(ended != nil)
	if p.skipEndedWorkflows && ended != nil {
		wf.UID = wfe.UID // any UID: the Workflow does not exist
	} else if err := p.Admin.Create(ctx, wf); err != nil {
		return err
	}
	status.WorkflowRef = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
	wfe.Status = *status
	return p.Admin.Status().Update(ctx, wfe)
}

// seededStatus is the status of an execution that just started.
func seededStatus(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecutionStatus {
	status := &wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseRunning, ObservedGeneration: wfe.Generation, WorkflowRef: wfe.Status.WorkflowRef,
		Steps: translate.InitialSteps(&wfe.Spec), Progress: fmt.Sprintf("0/%d", len(wfe.Spec.Steps)),
		StartTime: ptr.To(metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second))),
	}
	setCondition(status, wfev1.ConditionValid, metav1.ConditionTrue, "Accepted", "the specification fits the catalog")
	setCondition(status, wfev1.ConditionAdmitted, metav1.ConditionTrue, "TargetFree", "the execution holds the lock on its target")
	setCondition(status, wfev1.ConditionNamespaceReady, metav1.ConditionTrue, "Ready", "the namespace has what steps need")
	setCondition(status, wfev1.ConditionReconciling, metav1.ConditionTrue, "Running", "steps are running")
	return status
}

func setCondition(status *wfev1.WorkflowExecutionStatus, kind string, is metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: kind, Status: is, Reason: reason, Message: message, ObservedGeneration: status.ObservedGeneration,
	})
}

// setRunning sets a completed step to running.
func setRunning(wf *wfv1.Workflow, task string) {
	id := wf.NodeID(wf.Name + "." + task)
	node := wf.Status.Nodes[id]
	node.Phase, node.FinishedAt, node.Outputs = wfv1.NodeRunning, metav1.Time{}, nil
	wf.Status.Nodes[id] = node
}

// manageAfter stops a manager, calls a function, and starts the next manager.
func (p *controlPlane) manageAfter(ctx context.Context, m *manager, meanwhile func() error) (*manager, error) {
	if err := m.stop(); err != nil {
		return nil, err
	}
	if err := meanwhile(); err != nil {
		return nil, err
	}
	return p.manage(ctx)
}

// seedAll seeds executions with the numbers from first to end.
func (p *controlPlane) seedAll(ctx context.Context, prefix string, first, end int, ended *time.Time) error {
	return each(first, end, func(i int) error { return p.seed(ctx, fmt.Sprintf("%s-%d", prefix, i), ended) })
}
