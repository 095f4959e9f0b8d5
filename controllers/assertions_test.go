package controllers_test

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// phaseOf reads the phase of an execution.
func phaseOf(wfe *wfev1.WorkflowExecution) func() wfev1.Phase {
	return func() wfev1.Phase { return statusOf(wfe).Phase }
}

// stepsOf reads the phases of the steps as name=phase, in plan order.
func stepsOf(wfe *wfev1.WorkflowExecution) func() string {
	return func() string {
		var steps []string
		for _, s := range statusOf(wfe).Steps {
			steps = append(steps, s.Name+"="+string(s.Phase))
		}
		return strings.Join(steps, " ")
	}
}

func statusOf(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecutionStatus {
	GinkgoHelper()
	current := &wfev1.WorkflowExecution{}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
	return &current.Status
}

func stepOf(wfe *wfev1.WorkflowExecution, name string) *wfev1.StepStatus {
	GinkgoHelper()
	status := statusOf(wfe)
	at := slices.IndexFunc(status.Steps, func(s wfev1.StepStatus) bool { return s.Name == name })
	Expect(at).NotTo(Equal(-1), "the status has no step %q", name)
	return &status.Steps[at]
}

// conditionsOf reads the conditions as type and "status reason".
func conditionsOf(wfe *wfev1.WorkflowExecution) map[string]string {
	GinkgoHelper()
	conditions := map[string]string{}
	for _, c := range statusOf(wfe).Conditions {
		conditions[c.Type] = string(c.Status) + " " + c.Reason
	}
	return conditions
}

func conditionMessage(wfe *wfev1.WorkflowExecution, conditionType string) string {
	GinkgoHelper()
	for _, c := range statusOf(wfe).Conditions {
		if c.Type == conditionType {
			return c.Message
		}
	}
	return ""
}

// eventsOf reads the events on an execution as "type reason: note".
func eventsOf(wfe *wfev1.WorkflowExecution) func() []string {
	return func() []string {
		list := &eventsv1.EventList{}
		Expect(admin.List(ctx, list, client.InNamespace(wfe.Namespace))).To(Succeed())
		var events []string
		for _, e := range inOrder(list.Items) {
			if e.Regarding.Kind == wfev1.Kind && e.Regarding.UID == wfe.UID {
				events = append(events, e.Type+" "+e.Reason+": "+e.Note)
			}
		}
		return events
	}
}

func inOrder(events []eventsv1.Event) []eventsv1.Event {
	return slices.SortedStableFunc(slices.Values(events), func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
}

// kstatus is the status of an execution for kubectl wait, Argo CD and Flux (sigs.k8s.io/cli-utils, pkg/kstatus).
func kstatus(wfe *wfev1.WorkflowExecution) string {
	GinkgoHelper()
	current := &wfev1.WorkflowExecution{}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
	if current.Generation != current.Status.ObservedGeneration {
		return "InProgress"
	}
	for _, c := range current.Status.Conditions {
		if c.Status != metav1.ConditionTrue {
			continue
		}
		switch c.Type {
		case wfev1.ConditionReconciling:
			return "InProgress"
		case wfev1.ConditionStalled:
			return "Failed"
		}
	}
	return "Current"
}

// isHeld reports whether the Workflow of an execution has the controller's finalizer.
func isHeld(wfe *wfev1.WorkflowExecution) func() bool {
	return func() bool { return slices.Contains(workflowOf(wfe).Finalizers, wfev1.FinalizerObserved) }
}
