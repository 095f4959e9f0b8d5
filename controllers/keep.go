package controllers

import (
	corev1 "k8s.io/api/core/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// keepWorkflow is the cache's transformation of Workflows: they are most of the controller's memory.
func keepWorkflow(object any) (any, error) {
	wf, ok := object.(*wfv1.Workflow)
	if !ok {
		return object, nil
	}
	return translate.Compact(wf)
}

// keepExecution is the cache's transformation of executions: it drops what only others read, and keeps once what an
// execution says many times. The status it keeps whole, for an update of ours sends all of it.
func keepExecution(object any) (any, error) {
	wfe, ok := object.(*wfev1.WorkflowExecution)
	if !ok {
		return object, nil
	}
	wfe.ManagedFields = nil
	delete(wfe.Annotations, corev1.LastAppliedConfigAnnotation)
	w := words{}
	fit(&wfe.Spec.Steps)
	fit(&wfe.Status.Conditions)
	fit(&wfe.Status.Steps)
	fit(&wfe.Status.RollbackSteps)
	for i := range wfe.Spec.Steps {
		step := &wfe.Spec.Steps[i]
		once(w, &step.Name)
		once(w, &step.Action)
		fit(&step.DependsOn)
		for j := range step.DependsOn {
			once(w, &step.DependsOn[j])
		}
		w.keepParameters(&step.Parameters)
		if step.When != nil {
			once(w, &step.When.Step)
			once(w, &step.When.Output)
		}
		if step.Rollback != nil {
			once(w, &step.Rollback.Action)
			w.keepParameters(&step.Rollback.Parameters)
		}
	}
	w.keepSteps(wfe.Status.Steps)
	w.keepSteps(wfe.Status.RollbackSteps)
	return wfe, nil
}

// someExecutedSteps are the steps of everything that has ended, as the cache has it: what counts is how many were executed,
// not which.
var someExecutedSteps = func() (steps [translate.MaxSteps]wfev1.StepStatus) {
	for i := range steps {
		steps[i] = wfev1.StepStatus{Action: metrics.UnknownAction, Phase: wfev1.StepCompleted}
	}
	return steps
}()

// keepEnded is the transformation of the cache of what has ended: hundreds of bytes remain of an execution. Nothing of that is
// ever written: whoever has more to do than to settle it reads the execution.
func keepEnded(object any) (any, error) {
	wfe, ok := object.(*wfev1.WorkflowExecution)
	if !ok {
		return object, nil
	}
	kept := &wfev1.WorkflowExecution{}
	kept.Namespace, kept.Name, kept.UID, kept.ResourceVersion = wfe.Namespace, wfe.Name, wfe.UID, wfe.ResourceVersion
	kept.Generation, kept.DeletionTimestamp = wfe.Generation, wfe.DeletionTimestamp
	kept.Spec.DryRun, kept.Spec.TTLSecondsAfterFinished = wfe.Spec.DryRun, wfe.Spec.TTLSecondsAfterFinished
	is := &wfe.Status
	executed := min(metrics.ExecutedSteps(is), translate.MaxSteps)
	kept.Status = wfev1.WorkflowExecutionStatus{
		ObservedGeneration: is.ObservedGeneration, Phase: is.Phase, CompletionTime: is.CompletionTime,
		WorkflowRef: is.WorkflowRef, RollbackRef: is.RollbackRef,
		ParallelSteps: is.ParallelSteps, Steps: someExecutedSteps[:executed:executed],
	}
	return kept, nil
}

// words is the strings of one object of which one copy is enough.
type words map[string]string

// once makes a string the first one that says the same.
func once[text ~string](w words, s *text) {
	if same, known := w[string(*s)]; known {
		*s = text(same)
		return
	}
	w[string(*s)] = string(*s)
}

// fit gives up the room that a decoder left behind the elements of a list, which may be as much again.
func fit[element any](list *[]element) {
	if cap(*list) > len(*list) {
		*list = append(make([]element, 0, len(*list)), *list...)
	}
}

func (w words) keepParameters(parameters *[]wfev1.Parameter) {
	fit(parameters)
	for i := range *parameters {
		p := &(*parameters)[i]
		once(w, &p.Name)
		if p.Value != nil {
			once(w, p.Value)
		}
		if p.ValueFrom != nil {
			once(w, &p.ValueFrom.Step)
			once(w, &p.ValueFrom.Output)
		}
	}
}

func (w words) keepSteps(steps []wfev1.StepStatus) {
	for i := range steps {
		step := &steps[i]
		once(w, &step.Name)
		once(w, &step.Action)
		once(w, &step.Phase)
		once(w, &step.Reason)
		once(w, &step.Message)
		once(w, &step.ArgoPhase)
		fit(&step.Outputs)
		for j := range step.Outputs {
			once(w, &step.Outputs[j].Name)
			once(w, &step.Outputs[j].Value)
		}
	}
}
