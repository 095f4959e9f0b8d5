package translate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/file"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// sizesOf returns the length of each output of each step.
func sizesOf(steps []wfev1.StepStatus) map[string]int {
	sizes := map[string]int{}
	for _, step := range steps {
		for _, output := range step.Outputs {
			sizes[step.Name+"."+output.Name] = len(output.Value)
		}
	}
	return sizes
}

// done is the node of a step that completed with outputs of these sizes, named o0, o1 and so on.
func done(name string, sizes ...int) wfv1.NodeStatus {
	var pairs []string
	for i, size := range sizes {
		pairs = append(pairs, "o"+string(rune('0'+i)), strings.Repeat("x", size))
	}
	return pod(name, wfv1.NodeSucceeded, withTimes(10, 20), outputs(pairs...))
}

func TestOutputsAreBounded(t *testing.T) {
	const most = 64 << 10
	eight := []int{most - 2, most - 2, most - 2, most - 2, most - 2, most - 2, most - 2, most - 2}
	cases := map[string]struct {
		reason string
		nodes  []wfv1.NodeStatus
		want   map[string]int
		told   string
	}{
		"Fits":   {"64 KiB are kept whole.", []wfv1.NodeStatus{done("a", 0, most)}, map[string]int{"a.o0": 0, "a.o1": most}, ""},
		"TooBig": {"A cut value would be worse than none.", []wfv1.NodeStatus{done("a", 5, most+1)}, map[string]int{"a.o0": 5}, `output "o1" was dropped: it has 65537 bytes`},
		"AllOfThem": {
			"512 KiB, the names included, are kept for all steps together.",
			[]wfv1.NodeStatus{done("a", eight...), done("b", 1)}, map[string]int{
				"a.o0": most - 2, "a.o1": most - 2, "a.o2": most - 2, "a.o3": most - 2, "a.o4": most - 2, "a.o5": most - 2, "a.o6": most - 2, "a.o7": most - 2,
			}, `output "o0" was dropped: it has 1 bytes`,
		},
		"NoValue": {"An output without a value is none.", []wfv1.NodeStatus{pod("a", wfv1.NodeSucceeded, func(n *wfv1.NodeStatus) {
			n.Outputs = &wfv1.Outputs{Parameters: []wfv1.Parameter{{Name: "o0"}}}
		})}, map[string]int{}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			steps := Steps(pending("a", "b"), newWorkflow(wfv1.WorkflowRunning, tc.nodes...))
			if diff := cmp.Diff(tc.want, sizesOf(steps)); diff != "" {
				t.Errorf("%s\noutputs (-want +got):\n%s", tc.reason, diff)
			}
			if message := steps[0].Message + steps[1].Message; !strings.HasPrefix(message, tc.told) || tc.told == "" && message != "" {
				t.Errorf("%s\nwant a message with %q, got %q", tc.reason, tc.told, message)
			}
			if diff := cmp.Diff(steps, Steps(steps, newWorkflow(wfv1.WorkflowRunning, tc.nodes...))); diff != "" {
				t.Errorf("%s\nlooking again changed it:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRecordedOutputsStay has a step early in the plan end after a later one, with more outputs than there is room for.
func TestRecordedOutputsStay(t *testing.T) {
	const most = 64 << 10
	half := []int{most, most, most, most, most}
	steps := Steps(pending("a", "b"), newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeRunning, withTimes(10, 0)), done("b", half...)))
	recorded := *steps[1].DeepCopy()
	steps = Steps(steps, newWorkflow(wfv1.WorkflowRunning, done("a", half...), done("b", half...)))
	if diff := cmp.Diff(sizesOf([]wfev1.StepStatus{recorded}), sizesOf(steps[1:])); diff != "" {
		t.Errorf("the outputs of a step that had ended were dropped (-recorded +now):\n%s\n%s", diff, steps[1].Message)
	}
	if !strings.Contains(steps[0].Message, "was dropped") {
		t.Errorf("the outputs that came later do not fit, and the step must say so, got %q", steps[0].Message)
	}
}

// compress does to the nodes what Argo does to those of a big Workflow (workflow/packer compressWorkflow).
func compress(tb testing.TB, wf *wfv1.Workflow) *wfv1.Workflow {
	tb.Helper()
	nodes, err := json.Marshal(wf.Status.Nodes)
	if err != nil {
		tb.Fatal(err)
	}
	compressed := wf.DeepCopy()
	compressed.Status.Nodes, compressed.Status.CompressedNodes = nil, file.CompressEncodeString(string(nodes))
	return compressed
}
