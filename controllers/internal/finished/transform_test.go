package finished

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestTransform checks that what is kept of an execution is what cleaning it up and the efficiency need, and no more.
func TestTransform(t *testing.T) {
	kept := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "ended", UID: "u", ResourceVersion: "7", Generation: 3}}
	kept.Spec = wfev1.WorkflowExecutionSpec{TTLSecondsAfterFinished: ptr.To[int32](60), DryRun: true}
	kept.Status = wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseFailed, ObservedGeneration: 2, CompletionTime: ptr.To(metav1.Unix(1e9, 0)),
		ParallelSteps: ptr.To(int32(4)), ExecutedSteps: ptr.To(int32(10)),
		WorkflowRef: &wfev1.WorkflowReference{Name: "ended", UID: "w"}, RollbackRef: &wfev1.WorkflowReference{Name: "ended-rollback", UID: "r"},
	}
	whole := kept.DeepCopy()
	whole.Labels = map[string]string{"team": "blue"}
	whole.Spec.Steps = []wfev1.Step{{Name: "a", Action: "restart-pod"}}
	whole.Spec.Target = wfev1.Target{APIVersion: "v1", Kind: "Pod", Name: "p"}
	whole.Status.Steps = []wfev1.StepStatus{{Name: "a", Phase: wfev1.StepCompleted}}
	whole.Status.Conditions = []metav1.Condition{{Type: wfev1.ConditionFailed}}
	got, err := Transform(whole)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, got); diff != "" {
		t.Errorf("what is kept (-want +got):\n%s", diff)
	}
}
