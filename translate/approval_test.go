package translate

import (
	"encoding/json"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestDecisionPatch applies the patch as the API server does and reads the result with Argo's reader and with this package.
func TestDecisionPatch(t *testing.T) {
	waiting := newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSuspend, "a", wfv1.NodeRunning, withTimes(10, 0)),
		node(wfv1.NodeTypeSuspend, "b", wfv1.NodeRunning, withTimes(10, 0)), done("c", 3))
	waiting.ResourceVersion = "7"
	expanded := mustExpand(t, compress(t, waiting))
	decisions := []Decision{
		Decide(waiting, &wfev1.Approval{Step: "a", Approved: true, By: "ana", Reason: "calm"}),
		Decide(waiting, &wfev1.Approval{Step: "b", By: "bob"}),
	}
	for name, wf := range map[string]*wfv1.Workflow{"Plain": waiting, "Compressed": expanded} {
		t.Run(name, func(t *testing.T) {
			before := wf.DeepCopy()
			patch, err := DecisionPatch(wf, decisions, at(40))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, wf); diff != "" {
				t.Errorf("deciding changed the Workflow (-before +after):\n%s", diff)
			}
			stored := wf.DeepCopy()
			if stored.Status.CompressedNodes != "" {
				stored.Status.Nodes = nil // as it is in the API server
			}
			got := applyPatch(t, stored, patch)
			if got.ResourceVersion != "7" {
				t.Errorf("the patch must carry the resourceVersion that was read, got %q", got.ResourceVersion)
			}
			if compressed := got.Status.CompressedNodes != ""; compressed && len(got.Status.Nodes) > 0 {
				t.Error("Argo ignores compressed nodes beside plain ones")
			}
			got = mustExpand(t, got)
			want := waiting.DeepCopy().Status.Nodes
			addNodes(&wfv1.Workflow{ObjectMeta: waiting.ObjectMeta, Status: wfv1.WorkflowStatus{Nodes: want}},
				node(wfv1.NodeTypeSuspend, "a", wfv1.NodeSucceeded, withTimes(10, 40), withMessage("approved by ana: calm")),
				node(wfv1.NodeTypeSuspend, "b", wfv1.NodeFailed, withTimes(10, 40), withMessage("rejected by bob")))
			if diff := cmp.Diff(want, got.Status.Nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}

func applyPatch(t *testing.T, wf *wfv1.Workflow, patch []byte) *wfv1.Workflow {
	t.Helper()
	document, err := json.Marshal(wf)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := jsonpatch.MergePatch(document, patch)
	if err != nil {
		t.Fatal(err)
	}
	var got wfv1.Workflow
	if err := json.Unmarshal(merged, &got); err != nil {
		t.Fatal(err)
	}
	return &got
}

func TestDecisionPatchRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		nodes  []wfv1.NodeStatus
	}{
		"NoNode":  {"Nothing waits yet.", nil},
		"Decided": {"Argo's Resume was faster.", []wfv1.NodeStatus{node(wfv1.NodeTypeSuspend, "a", wfv1.NodeSucceeded)}},
		"Pod":     {"A pod does not wait for anybody.", []wfv1.NodeStatus{pod("a", wfv1.NodeRunning)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wf := newWorkflow(wfv1.WorkflowRunning, tc.nodes...)
			if patch, err := DecisionPatch(wf, []Decision{Expire(wf, "a", 5)}, at(40)); err == nil {
				t.Errorf("%s\nwant an error, got %s", tc.reason, patch)
			}
		})
	}
}

func TestAwaitsApproval(t *testing.T) {
	if AwaitsApproval([]wfev1.StepStatus{{Phase: wfev1.StepRunning}, {Phase: wfev1.StepCompleted}}) {
		t.Error("no step waits for an approval")
	}
	if !AwaitsApproval([]wfev1.StepStatus{{Phase: wfev1.StepRunning}, {Phase: wfev1.StepAwaitingApproval}}) {
		t.Error("a step waits for an approval")
	}
}
