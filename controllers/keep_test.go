package controllers_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// mostMemory is what a live execution of 20 steps may take in the cache, its Workflow included.
const mostMemory = 25 << 10

// TestKeepExecution checks that the cache drops nothing of an execution but what is about others.
func TestKeepExecution(t *testing.T) {
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
	got, err := controllers.KeepExecution(wfe)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is kept (-want +got):\n%s", diff)
	}
}

// TestMemoryOfLiveExecutions measures the heap that an execution and its Workflow take in the cache, read as they are read
// from the API server.
func TestMemoryOfLiveExecutions(t *testing.T) {
	gomega.RegisterTestingT(t)
	execution, workflow := live(20)
	const many = 200
	var kept [2 * many]any
	before := liveHeap()
	for i := range many {
		kept[2*i] = mustKeep(t, controllers.KeepExecution, execution, &wfev1.WorkflowExecution{})
		kept[2*i+1] = mustKeep(t, controllers.KeepWorkflow, workflow, &wfv1.Workflow{})
	}
	if took := (liveHeap() - before) / many; took > mostMemory {
		t.Errorf("a live execution takes %d bytes, more than %d", took, mostMemory)
	}
	runtime.KeepAlive(kept)
}

// live is an execution of so many steps, all of which ran, and its Workflow, as the API server tells them.
func live(steps int) (execution, workflow []byte) {
	wfe := executionOf(steps)
	wf := plannedWorkflow(wfe)
	double.PickUp(wf)
	for i := range wfe.Spec.Steps {
		name := wfe.Spec.Steps[i].Name
		run(name)(wf)
		succeed(name, "changed=true", "previous=3")(wf)
	}
	wfe.Status.Phase = wfev1.PhaseRunning
	wfe.Status.Steps = translate.Steps(translate.InitialSteps(&wfe.Spec), wf)
	wfe.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "manager", Operation: metav1.ManagedFieldsOperationUpdate}}
	execution, err := json.Marshal(wfe)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	workflow, err = json.Marshal(wf)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return execution, workflow
}

// TestKeepEnded checks that what is kept of an execution that has ended counts as the whole does, and is little.
func TestKeepEnded(t *testing.T) {
	wfe := executionOf(20)
	wfe.Name, wfe.UID, wfe.Generation = "ended", "u", 3
	wfe.Spec.TTLSecondsAfterFinished = ptr.To[int32](60)
	wfe.Status = wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseFailed, ObservedGeneration: 2, ParallelSteps: ptr.To(int32(4)), CompletionTime: ptr.To(metav1.Unix(1e9, 0)),
		WorkflowRef: &wfev1.WorkflowReference{Name: "ended", UID: "w"}, Steps: translate.InitialSteps(&wfe.Spec),
	}
	for i, phase := range []wfev1.StepPhase{wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepSkipped, wfev1.StepCancelled} {
		for j := i; j < len(wfe.Status.Steps); j += 4 {
			wfe.Status.Steps[j].Phase = phase
		}
	}
	encoded, err := json.Marshal(wfe)
	if err != nil {
		t.Fatal(err)
	}
	const many = 200
	var all [many]*wfev1.WorkflowExecution
	before := liveHeap()
	for i := range many {
		all[i] = mustKeep(t, controllers.KeepEnded, encoded, &wfev1.WorkflowExecution{}).(*wfev1.WorkflowExecution)
	}
	each := (liveHeap() - before) / many
	kept := all[many-1]
	if is, was := &kept.Status, &wfe.Status; metrics.ExecutedSteps(is) != 10 || metrics.ExecutedSteps(was) != 10 || metrics.ParallelSteps(is) != 4 {
		t.Errorf("%d of %d steps executed, %d of them beside others", metrics.ExecutedSteps(is), metrics.ExecutedSteps(was), metrics.ParallelSteps(is))
	}
	wfe.Spec = wfev1.WorkflowExecutionSpec{TTLSecondsAfterFinished: wfe.Spec.TTLSecondsAfterFinished}
	wfe.Status.Steps, kept.Status.Steps = nil, nil
	if diff := cmp.Diff(wfe, kept); diff != "" {
		t.Errorf("what is kept (-want +got):\n%s", diff)
	}
	if each > 1<<10 {
		t.Errorf("an execution that has ended takes %d bytes", each)
	}
	runtime.KeepAlive(all)
}

// executionOf is an execution of so many steps, one after another.
func executionOf(steps int) *wfev1.WorkflowExecution {
	wfe := execution("measured", step("s0"))
	for i := 1; i < steps; i++ {
		next := bounded(retried(step(fmt.Sprintf("s%d", i), fmt.Sprintf("s%d", i-1)), 3), 60)
		next.Parameters[0] = wfev1.Parameter{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "s0", Output: "previous"}}
		wfe.Spec.Steps = append(wfe.Spec.Steps, next)
	}
	return wfe
}

func mustKeep(t *testing.T, keep func(any) (any, error), encoded []byte, into any) any {
	t.Helper()
	if err := json.Unmarshal(encoded, into); err != nil {
		t.Fatal(err)
	}
	kept, err := keep(into)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
