package translate

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
			withExitCode(ExitCodeNeverWorks)(&node)
		}
		wf.Status.Nodes[id] = node
	}
	return wf
}

func mustCompact(t rapid.TB, wf *wfv1.Workflow) *wfv1.Workflow {
	t.Helper()
	compacted, err := Compact(wf)
	if err != nil {
		t.Fatal(err)
	}
	return compacted
}

func mustExpand(t rapid.TB, wf *wfv1.Workflow) *wfv1.Workflow {
	t.Helper()
	expanded, err := Expand(wf)
	if err != nil {
		t.Fatal(err)
	}
	return expanded
}

// TestCompactKeepsWhatIsRead compares everything that the package reads of a Workflow, before and after it was compacted.
func TestCompactKeepsWhatIsRead(t *testing.T) {
	names := []string{"a", "b", "c"}
	spec := &wfev1.WorkflowExecutionSpec{Steps: []wfev1.Step{newStep("a"), newStep("b"), newStep("c")}}
	type readings struct {
		Steps    []wfev1.StepStatus
		Failure  *wfev1.Failure
		Running  int
		Since    []*metav1.Time
		Pods     []string
		Decision string
	}
	read := func(wf *wfv1.Workflow) readings {
		a := readings{Steps: Steps(pending(names...), wf), Running: Running(wf)}
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
		compacted := mustCompact(t, wf)
		if diff := cmp.Diff(before, wf); diff != "" {
			t.Errorf("Compact changed its argument (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(compacted.DeepCopy(), mustCompact(t, compacted)); diff != "" {
			t.Errorf("compacting twice differs (-once +twice):\n%s", diff)
		}
		if compacted.ManagedFields != nil || len(compacted.Status.Nodes) > 0 {
			t.Errorf("Compact left %v, %v", compacted.ManagedFields, compacted.Status.Nodes)
		}
		before = compacted.DeepCopy()
		expanded := mustExpand(t, compacted)
		if diff := cmp.Diff(before, compacted); diff != "" {
			t.Errorf("Expand changed its argument (-before +after):\n%s", diff)
		}
		if again := mustExpand(t, expanded); again != expanded {
			t.Error("Expand copied a Workflow that has its nodes")
		}
		if diff := cmp.Diff(read(wf), read(expanded)); diff != "" {
			t.Errorf("the compacted Workflow reads differently (-whole +compacted):\n%s", diff)
		}
		if diff := cmp.Diff(wf.Annotations, expanded.Annotations, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("annotations (-before +after):\n%s", diff)
		}
	})
}

// TestCompactKeepsPatches makes a patch of two compacted Workflows, and the same one of two whole ones.
func TestCompactKeepsPatches(t *testing.T) {
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
		compacted := mustCompact(t, wf)
		if diff := cmp.Diff(patch(t, wf), patch(t, compacted)); diff != "" {
			t.Errorf("patch (-whole +compacted):\n%s", diff)
		}
	})
}

// TestExpandCompressedNodes reads the nodes that Argo compressed, from the Workflow itself and from a compacted one.
func TestExpandCompressedNodes(t *testing.T) {
	plain := newWorkflow(wfv1.WorkflowRunning, done("a", 3), pod("b", wfv1.NodeRunning, withTimes(10, 0)))
	want := Steps(pending("a", "b"), plain)
	compressed := compress(t, plain)
	if diff := cmp.Diff(pending("a", "b"), Steps(pending("a", "b"), compressed)); diff != "" {
		t.Errorf("steps of compressed nodes (-want +got):\n%s", diff)
	}
	empty := compress(t, plain)
	empty.Status.Nodes = wfv1.Nodes{}
	for name, wf := range map[string]*wfv1.Workflow{"Whole": compressed, "EmptyMap": empty, "Compacted": mustCompact(t, compressed)} {
		t.Run(name, func(t *testing.T) {
			before := wf.DeepCopy()
			expanded := mustExpand(t, wf)
			if diff := cmp.Diff(before, wf); diff != "" {
				t.Errorf("Expand changed its argument (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(plain.Status.Nodes, expanded.Status.Nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if expanded.Status.CompressedNodes != compressed.Status.CompressedNodes {
				t.Error("nothing shows any longer that the nodes were compressed")
			}
			if diff := cmp.Diff(want, Steps(pending("a", "b"), expanded)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpandRefusesGarbage(t *testing.T) {
	compacted, compressed := newWorkflow(wfv1.WorkflowRunning), newWorkflow(wfv1.WorkflowRunning)
	compacted.Annotations = map[string]string{compactedNodes: "\xff"}
	compressed.Status.CompressedNodes = "?"
	for want, wf := range map[string]*wfv1.Workflow{
		"the compacted nodes of Workflow fix cannot be read: ":  compacted,
		"the compressed nodes of Workflow fix cannot be read: ": compressed,
	} {
		if _, err := Expand(wf); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want an error that begins with %q", err, want)
		}
	}
}

// TestCompactKeepsEndsOfRetries has the two ends of a retried step that only an exit code and a limit distinguish from a
// shutdown.
func TestCompactKeepsEndsOfRetries(t *testing.T) {
	for name, test := range map[string]struct {
		limit  int32
		last   wfv1.NodeStatus
		reason string
	}{
		"no retry helps":   {5, pod("a(0)", wfv1.NodeFailed, withTimes(1, 2), onHost("worker"), withExitCode(ExitCodeNeverWorks)), "the action said so"},
		"attempts used up": {0, pod("a(0)", wfv1.NodeFailed, withTimes(1, 2), onHost("worker")), "the limit says so"},
	} {
		t.Run(name, func(t *testing.T) {
			wf := newWorkflow(wfv1.WorkflowFailed, node(wfv1.NodeTypeRetry, "a", wfv1.NodeFailed, withMessage("Stopped with strategy 'Terminate'")), test.last)
			limit := intstr.FromInt32(test.limit)
			wf.Spec.Shutdown, wf.Spec.Templates = wfv1.ShutdownStrategyTerminate, []wfv1.Template{{Name: "noop", RetryStrategy: &wfv1.RetryStrategy{Limit: &limit}}}
			got := Steps(pending("a"), mustExpand(t, mustCompact(t, wf)))
			if diff := cmp.Diff(Steps(pending("a"), wf), got); diff != "" || got[0].Phase != wfev1.StepFailed {
				t.Errorf("the step is %s, and failed, for %s (-whole +compacted):\n%s", got[0].Phase, test.reason, diff)
			}
		})
	}
}
