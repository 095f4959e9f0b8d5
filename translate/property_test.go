package translate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// drawExecution draws an execution that NewPlan must accept: any shape free of cycles, with every feature.
func drawExecution(t *rapid.T) *wfev1.WorkflowExecution {
	steps := drawDAG(t, 12)
	graph, problems := NewGraph(steps)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for i := range steps {
		if rapid.IntRange(0, 9).Draw(t, "approval") == 9 {
			asApproval("Go on with " + steps[i].Name + "?")(&steps[i])
			continue
		}
		runs(rapid.SampledFrom([]string{"noop", "report", "run-script", "scale-deployment", "patch-object"}).Draw(t, "action"))(&steps[i])
		drawSettings(t, &steps[i])
	}
	for i := range steps {
		drawReferences(t, steps, graph, i)
	}
	wfe := newExecution(steps...)
	if rapid.Bool().Draw(t, "bounded") {
		wfe.Spec.Parallelism = ptr.To(rapid.Int32Range(1, 9).Draw(t, "parallelism"))
	}
	return wfe
}

func drawSettings(t *rapid.T, step *wfev1.Step) {
	if rapid.Bool().Draw(t, "retried") {
		step.Retry = &wfev1.Retry{Limit: rapid.Int32Range(1, 3).Draw(t, "limit")}
	}
	if rapid.Bool().Draw(t, "timed") {
		step.TimeoutSeconds = ptr.To(rapid.Int32Range(1, 3).Draw(t, "timeout"))
	}
	if rapid.Bool().Draw(t, "optional") {
		notCritical(step)
	}
	text := hostileText().Filter(func(s string) bool { return forbiddenSequence(s) == "" && carries(s) })
	switch step.Action {
	case "scale-deployment":
		with("deployment", text.Draw(t, "deployment"))(step)
		with("replicas", "1")(step)
	case "patch-object":
		with("patch", hostileText().Draw(t, "patch"))(step)
	}
}

// drawReferences lets a step read outputs and phases of its ancestors, near or distant.
func drawReferences(t *rapid.T, steps []wfev1.Step, graph *Graph, i int) {
	var sources []*wfev1.Step
	for j := range steps {
		if steps[j].Action == "report" && graph.IsAncestor(j, i) {
			sources = append(sources, &steps[j])
		}
	}
	if len(sources) == 0 || rapid.Bool().Draw(t, "blind") {
		return
	}
	source := rapid.SampledFrom(sources).Draw(t, "source")
	switch step := &steps[i]; {
	case rapid.Bool().Draw(t, "phase"):
		when(source.Name, "", wfev1.OperatorNotIn, "Failed")(step)
	case step.Action == "report":
		withOutput("text", source.Name, "text")(step)
	case step.Action == "patch-object":
		withOutput("note", source.Name, "text")(step)
	default:
		when(source.Name, "text", wfev1.OperatorIn, "yes", "no")(step)
	}
}

// inDepends finds the tasks that a depends expression names.
var inDepends = regexp.MustCompile(`([a-z][-a-z0-9]*)\.[A-Z][a-z]+`)

// ancestorsOf is the set of tasks that must end before a task starts, by the depends expressions of a Workflow alone.
func ancestorsOf(depends map[string]string, task string) []string {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		for _, match := range inDepends.FindAllStringSubmatch(depends[name], -1) {
			if !seen[match[1]] {
				seen[match[1]] = true
				visit(match[1])
			}
		}
	}
	visit(task)
	return sortedKeys(seen)
}

func TestWorkflowProperties(t *testing.T) {
	catalog := readCatalog(t)
	rapid.Check(t, func(t *rapid.T) {
		wfe := drawExecution(t)
		before := wfe.DeepCopy()
		plan, err := NewPlan(wfe, catalog)
		if err != nil {
			t.Fatal(err)
		}
		wf := plan.Workflow(Options{ServiceAccountName: "steps"})
		if err := validateWithArgo(wf); err != nil {
			t.Fatalf("Argo refuses the Workflow: %v", err)
		}
		checkAncestors(t, wfe, plan, wf)

		first, err := json.Marshal(wf)
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewPlan(wfe, catalog)
		if err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(again.Workflow(Options{ServiceAccountName: "steps"}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("translating twice gives different bytes:\n%s", diff)
		}
		if diff := cmp.Diff(before, wfe); diff != "" {
			t.Errorf("translating changed the execution (-before +after):\n%s", diff)
		}
	})
	// What the executions share is the catalog: nothing may have changed it.
	if diff := cmp.Diff(readCatalog(t), catalog, cmp.AllowUnexported(Action{})); diff != "" {
		t.Errorf("translating changed the catalog (-before +after):\n%s", diff)
	}
}

func checkAncestors(t *rapid.T, wfe *wfev1.WorkflowExecution, plan *Plan, wf *wfv1.Workflow) {
	depends := map[string]string{}
	parents := map[string][]string{}
	for _, task := range wf.Spec.Templates[0].DAG.Tasks {
		depends[task.Name] = task.Depends
	}
	for _, step := range wfe.Spec.Steps {
		parents[step.Name] = step.DependsOn
	}
	for _, step := range wfe.Spec.Steps {
		var want []string
		for _, other := range wfe.Spec.Steps {
			if reaches(parents, step.Name, other.Name) {
				want = append(want, other.Name)
			}
		}
		slices.Sort(want)
		if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, ancestorsOf(depends, step.Name)); diff != "" {
			t.Errorf("ancestors of %s (-want +got):\n%s", step.Name, diff)
		}
	}
}

// drawNode draws what Argo may write about a task or one of its attempts.
func drawNode(t *rapid.T, name string, kind wfv1.NodeType) wfv1.NodeStatus {
	phase := rapid.SampledFrom([]wfv1.NodePhase{
		wfv1.NodePending, wfv1.NodeRunning, wfv1.NodeSucceeded, wfv1.NodeFailed, wfv1.NodeError, wfv1.NodeSkipped, wfv1.NodeOmitted, "", "New",
	}).Draw(t, "phase")
	node := wfv1.NodeStatus{Name: name, Type: kind, Phase: phase, TemplateName: "noop"}
	node.Message = rapid.SampledFrom([]string{"", "ImagePullBackOff: no", "main: OOMKilled (exit code 137)", "Step exceeded its deadline"}).Draw(t, "message")
	if rapid.Bool().Draw(t, "started") {
		node.StartedAt = metav1.Unix(rapid.Int64Range(1, 99).Draw(t, "start"), 0)
	}
	if rapid.Bool().Draw(t, "finished") {
		node.FinishedAt = metav1.Unix(rapid.Int64Range(1, 99).Draw(t, "end"), 0)
	}
	if rapid.Bool().Draw(t, "unsynced") {
		node.TaskResultSynced = ptr.To(rapid.Bool().Draw(t, "synced"))
	}
	if rapid.Bool().Draw(t, "outputs") {
		node.Outputs = &wfv1.Outputs{Parameters: []wfv1.Parameter{{Name: "text", Value: wfv1.AnyStringPtr(rapid.StringN(0, 3, -1).Draw(t, "output"))}}}
	}
	return node
}

// drawNodes draws the nodes of some of the steps, with attempts where the node is one of retries.
func drawNodes(t *rapid.T, names []string) *wfv1.Workflow {
	wf := newWorkflow(rapid.SampledFrom([]wfv1.WorkflowPhase{wfv1.WorkflowRunning, wfv1.WorkflowFailed, wfv1.WorkflowSucceeded}).Draw(t, "workflow"))
	wf.Spec.Shutdown = rapid.SampledFrom([]wfv1.ShutdownStrategy{"", wfv1.ShutdownStrategyTerminate}).Draw(t, "shutdown")
	wf.Status.FinishedAt = metav1.Unix(100, 0)
	for _, name := range names {
		kind := rapid.SampledFrom([]wfv1.NodeType{"", wfv1.NodeTypePod, wfv1.NodeTypeRetry, wfv1.NodeTypeSkipped, wfv1.NodeTypeSuspend}).Draw(t, "type")
		if kind == "" {
			continue
		}
		addNodes(wf, drawNode(t, "fix."+name, kind))
		for n := range rapid.IntRange(0, 3).Draw(t, "attempts") {
			addNodes(wf, drawNode(t, fmt.Sprintf("fix.%s(%d)", name, n), wfv1.NodeTypePod))
		}
	}
	return wf
}

func TestStepsProperties(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		steps := pending(names...)
		for range rapid.IntRange(1, 5).Draw(t, "observations") {
			wf := drawNodes(t, names)
			before, nodesBefore := copySteps(steps), wf.DeepCopy()
			after := Steps(steps, wf)
			if diff := cmp.Diff(before, steps); diff != "" {
				t.Errorf("mapping changed the previous steps (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(nodesBefore, wf); diff != "" {
				t.Errorf("mapping changed the Workflow (-before +after):\n%s", diff)
			}
			for range 3 {
				if diff := cmp.Diff(after, Steps(before, shuffled(t, wf))); diff != "" {
					t.Errorf("the order of the nodes matters (-first +then):\n%s", diff)
				}
			}
			checkSteps(t, before, after, wf)
			steps = after
		}
	})
}

func checkSteps(t *rapid.T, before, after []wfev1.StepStatus, wf *wfv1.Workflow) {
	for i := range after {
		if after[i].Name != before[i].Name || after[i].Action != before[i].Action {
			t.Errorf("step %s became %s", before[i].Name, after[i].Name)
		}
		if before[i].Phase.IsTerminal() {
			if diff := cmp.Diff(before[i], after[i]); diff != "" {
				t.Errorf("a step that has ended changed (-before +after):\n%s", diff)
			}
		}
		if wf.Status.Fulfilled() && !after[i].Phase.IsTerminal() {
			t.Errorf("the Workflow has ended and step %s is %s", after[i].Name, after[i].Phase)
		}
		if failed := after[i].Phase == wfev1.StepFailed; failed && (after[i].Reason == "" || after[i].Message == "") {
			t.Errorf("step %s failed without a reason or a message: %+v", after[i].Name, after[i])
		}
		if after[i].Phase == wfev1.StepCompleted && after[i].Reason != "" {
			t.Errorf("step %s completed with reason %s", after[i].Name, after[i].Reason)
		}
	}
}

// shuffled is the same Workflow, its nodes put into the map in another order.
func shuffled(t *rapid.T, wf *wfv1.Workflow) *wfv1.Workflow {
	other := wf.DeepCopy()
	keys := sortedKeys(wf.Status.Nodes)
	other.Status.Nodes = wfv1.Nodes{}
	if len(keys) > 0 {
		keys = rapid.Permutation(keys).Draw(t, "order")
	}
	for _, key := range keys {
		other.Status.Nodes[key] = wf.Status.Nodes[key]
	}
	return other
}

func TestParallelStepsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := make([]wfev1.StepStatus, rapid.IntRange(0, 12).Draw(t, "steps"))
		for i := range steps {
			steps[i] = wfev1.StepStatus{Name: fmt.Sprintf("s%d", i), Action: rapid.SampledFrom([]string{"noop", "noop", "noop", ""}).Draw(t, "action")}
			steps[i].Phase = rapid.SampledFrom([]wfev1.StepPhase{wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepCancelled}).Draw(t, "phase")
			steps[i].StartTime, steps[i].CompletionTime = drawTime(t), drawTime(t)
		}
		if want, got := naiveParallel(steps), ParallelSteps(steps); want != got {
			t.Errorf("want %d, got %d of %+v", want, got, steps)
		}
	})
}

func drawTime(t *rapid.T) *metav1.Time {
	second := rapid.Int64Range(0, 12).Draw(t, "second")
	if second == 0 {
		return nil
	}
	return &metav1.Time{Time: time.Unix(second, 0)}
}

// naiveParallel compares each run of an executed step with each other one.
func naiveParallel(steps []wfev1.StepStatus) int32 {
	isRun := func(s *wfev1.StepStatus) bool {
		return s.Action != "" && s.StartTime != nil && s.CompletionTime != nil && s.StartTime.Before(s.CompletionTime)
	}
	var parallel int32
	for i := range steps {
		for j := range steps {
			a, b := &steps[i], &steps[j]
			if i != j && a.IsExecuted() && isRun(a) && isRun(b) && a.StartTime.Before(b.CompletionTime) && b.StartTime.Before(a.CompletionTime) {
				parallel++
				break
			}
		}
	}
	return parallel
}
