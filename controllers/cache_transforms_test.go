package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
)

// TestTransformExecution checks that the cache drops only fields of an execution that the controller does not read.
func TestTransformExecution(t *testing.T) {
	second := undone(step("b", "a"))
	second.Parameters = []wfev1.Parameter{{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "a", Output: "previous"}}, value("mode", "slow")}
	second.When = &wfev1.When{Step: "a", Output: "changed", Operator: wfev1.OperatorIn, Values: []string{"true"}}
	wfe := execution("kept", step("a"), second)
	wfe.Annotations = map[string]string{"mine": "true"}
	wfe.Status = wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseRunning, ParallelSteps: ptr.To(int32(2)),
		Steps: []wfev1.StepStatus{
			{Name: "a", Action: doIt, Phase: wfev1.StepCompleted, Message: "a", Outputs: []wfev1.Output{{Name: "previous", Value: "2"}}, ArgoPhase: "Succeeded"},
			{Name: "b", Action: doIt, Phase: wfev1.StepFailed, Reason: wfev1.ReasonOOMKilled, ArgoPhase: "Failed"},
		},
		RollbackSteps: []wfev1.StepStatus{{Name: "a", Action: doIt, Phase: wfev1.StepPending}},
	}
	want := wfe.DeepCopy()
	wfe.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	wfe.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
	got, err := controllers.TransformExecution(wfe)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("TransformExecution() (-want +got):\n%s", diff)
	}
}
