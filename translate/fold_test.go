package translate

import (
	"encoding/json"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// drawWorkflow draws a Workflow with all that Argo and the API server put into one.
func drawWorkflow(t *rapid.T, names []string) *wfv1.Workflow {
	wf := drawNodes(t, names)
	limit := intstr.FromInt32(rapid.Int32Range(0, 3).Draw(t, "limit"))
	wf.Spec.Templates = []wfv1.Template{{Name: "noop", RetryStrategy: &wfv1.RetryStrategy{Limit: &limit}, Inputs: wfv1.Inputs{Parameters: []wfv1.Parameter{{Name: "in"}}}}, {Name: "main"}}
	wf.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argo"}}
	wf.Status.Message = rapid.SampledFrom([]string{"", "Stopped with strategy 'Terminate'"}).Draw(t, "of the whole")
	if rapid.Bool().Draw(t, "annotated") {
		wf.Annotations = map[string]string{podNameFormatAnnotation: "v1"}
	}
	for id, node := range wf.Status.Nodes {
		node.DisplayName, node.Children, node.HostNodeName = "shown", []string{"child"}, rapid.SampledFrom([]string{"", "worker"}).Draw(t, "host")
		node.Message = rapid.SampledFrom([]string{node.Message, "workflow shutdown with strategy:  Terminate", "Stopped with strategy 'Terminate'"}).Draw(t, "end")
		if rapid.Bool().Draw(t, "exited") {
			exited(ExitCodeNeverWorks)(&node)
		}
		wf.Status.Nodes[id] = node
	}
	return wf
}

func mustFold(t *rapid.T, wf *wfv1.Workflow) *wfv1.Workflow {
	folded, err := Fold(wf)
	if err != nil {
		t.Fatal(err)
	}
	return folded
}

// TestFoldKeepsWhatIsRead compares all that is ever asked of a Workflow, before and after it was folded.
func TestFoldKeepsWhatIsRead(t *testing.T) {
	names := []string{"a", "b", "c"}
	spec := &wfev1.WorkflowExecutionSpec{Steps: []wfev1.Step{newStep("a"), newStep("b"), newStep("c")}}
	type answers struct {
		Steps    []wfev1.StepStatus
		Failure  *wfev1.Failure
		Running  int
		Since    []*metav1.Time
		Pods     []string
		Decision string
	}
	ask := func(wf *wfv1.Workflow) answers {
		a := answers{Steps: Steps(pending(names...), wf), Running: Running(wf)}
		a.Failure = MainFailure(spec, a.Steps, wf)
		for _, name := range names {
			since, pod := PendingSince(wf, name)
			a.Since, a.Pods = append(a.Since, since), append(a.Pods, pod)
			patch, err := DecisionPatch(wf, []Decision{Decide(wf, &wfev1.Approval{Step: name, Approved: true})}, at(7))
			a.Decision += string(patch)
			if err != nil {
				a.Decision += err.Error()
			}
		}
		return a
	}
	rapid.Check(t, func(t *rapid.T) {
		wf := drawWorkflow(t, names)
		before := wf.DeepCopy()
		folded := mustFold(t, wf)
		if diff := cmp.Diff(before, wf); diff != "" {
			t.Errorf("folding changed the Workflow (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(folded.DeepCopy(), mustFold(t, folded)); diff != "" {
			t.Errorf("folding twice differs (-once +twice):\n%s", diff)
		}
		if folded.ManagedFields != nil || len(folded.Status.Nodes) > 0 {
			t.Errorf("folding left %v, %v", folded.ManagedFields, folded.Status.Nodes)
		}
		unfolded := folded.DeepCopy()
		if err := Unfold(unfolded); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ask(wf), ask(unfolded)); diff != "" {
			t.Errorf("a folded Workflow says something else (-whole +folded):\n%s", diff)
		}
		if diff := cmp.Diff(wf.Annotations, unfolded.Annotations, cmp.Transformer("set", func(m map[string]string) map[string]string {
			if m == nil {
				return map[string]string{}
			}
			return m
		})); diff != "" {
			t.Errorf("annotations (-before +after):\n%s", diff)
		}
	})
}

// TestFoldKeepsPatches makes a patch of two folded Workflows, as of two whole ones.
func TestFoldKeepsPatches(t *testing.T) {
	patch := func(t *rapid.T, wf *wfv1.Workflow) string {
		released := wf.DeepCopy()
		released.Finalizers, released.Spec.Shutdown, released.Spec.Suspend = nil, wfv1.ShutdownStrategyTerminate, nil
		was, err := json.Marshal(wf)
		if err != nil {
			t.Fatal(err)
		}
		is, err := json.Marshal(released)
		if err != nil {
			t.Fatal(err)
		}
		made, err := jsonpatch.CreateMergePatch(was, is)
		if err != nil {
			t.Fatal(err)
		}
		return string(made)
	}
	rapid.Check(t, func(t *rapid.T) {
		wf := drawWorkflow(t, []string{"a", "b"})
		wf.Finalizers = []string{wfev1.FinalizerObserved}
		folded := mustFold(t, wf)
		if diff := cmp.Diff(patch(t, wf), patch(t, folded)); diff != "" {
			t.Errorf("patch (-whole +folded):\n%s", diff)
		}
	})
}

func TestFoldLeavesPackedNodes(t *testing.T) {
	wf := newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeRunning))
	packed := pack(t, wf)
	folded, err := Fold(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := Unfold(folded); err != nil {
		t.Fatal(err)
	}
	if err := Decompress(folded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wf.Status.Nodes, folded.Status.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func TestUnfoldRefusesGarbage(t *testing.T) {
	wf := newWorkflow(wfv1.WorkflowRunning)
	wf.Annotations = map[string]string{foldedNodes: "\xff"}
	if err := Unfold(wf); err == nil {
		t.Error("garbage was taken for nodes")
	}
}

// TestFoldKeepsWhatEndedRetries has the two ends of a retried step that only an exit code and a limit tell from a shutdown.
func TestFoldKeepsWhatEndedRetries(t *testing.T) {
	for name, test := range map[string]struct {
		limit  int32
		last   wfv1.NodeStatus
		reason string
	}{
		"no retry helps":   {5, pod("a(0)", wfv1.NodeFailed, ran(1, 2), on("worker"), exited(ExitCodeNeverWorks)), "the action said so"},
		"attempts used up": {0, pod("a(0)", wfv1.NodeFailed, ran(1, 2), on("worker")), "the limit says so"},
	} {
		t.Run(name, func(t *testing.T) {
			wf := newWorkflow(wfv1.WorkflowFailed, node(wfv1.NodeTypeRetry, "a", wfv1.NodeFailed, says("Stopped with strategy 'Terminate'")), test.last)
			limit := intstr.FromInt32(test.limit)
			wf.Spec.Shutdown, wf.Spec.Templates = wfv1.ShutdownStrategyTerminate, []wfv1.Template{{Name: "noop", RetryStrategy: &wfv1.RetryStrategy{Limit: &limit}}}
			folded, err := Fold(wf)
			if err != nil {
				t.Fatal(err)
			}
			if err := Unfold(folded); err != nil {
				t.Fatal(err)
			}
			got := Steps(pending("a"), folded)
			if diff := cmp.Diff(Steps(pending("a"), wf), got); diff != "" || got[0].Phase != wfev1.StepFailed {
				t.Errorf("the step is %s, and failed, for %s (-whole +folded):\n%s", got[0].Phase, test.reason, diff)
			}
		})
	}
}
