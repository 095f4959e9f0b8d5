package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// shape is a shape of the dependency graph.
type shape struct {
	name    string
	depends func(i int) (first, end int)
}

// shapes are the measured graphs. A step depends on the steps from first to end, without end.
var shapes = []shape{
	{"chain", func(i int) (int, int) { return max(0, i-1), i }},
	{"fan-out", func(i int) (int, int) { return 0, min(i, 1) }},
	{"dense layers", func(i int) (int, int) { return max(0, i/10*10-10), i / 10 * 10 }},
}

// steps are n steps in this shape.
func (s shape) steps(n int) []wfev1.Step {
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i].Name = nameOfStep(i)
		for parent, end := s.depends(i); parent < end; parent++ {
			steps[i].DependsOn = append(steps[i].DependsOn, steps[parent].Name)
		}
	}
	return steps
}

func nameOfStep(i int) string { return fmt.Sprintf("step-%d", i) }

// execution is an execution of n steps that scale a Deployment. A step with dependencies restores the replicas that its first
// dependency found.
func (s shape) execution(name string, n int) *wfev1.WorkflowExecution {
	wfe := newExecution(name, s.steps(n))
	for i := range wfe.Spec.Steps {
		step := &wfe.Spec.Steps[i]
		step.Action = "scale-deployment"
		step.Parameters = []wfev1.Parameter{{Name: "deployment", Value: ptr.To("payment-api")}, {Name: "replicas", Value: ptr.To("3")}}
		if len(step.DependsOn) > 0 {
			step.Parameters[1] = wfev1.Parameter{Name: "replicas", ValueFrom: &wfev1.OutputReference{Step: step.DependsOn[0], Output: "previous-replicas"}}
		}
		step.Retry = &wfev1.Retry{Limit: 3}
		step.TimeoutSeconds = ptr.To(int32(60))
	}
	return wfe
}

// newExecution is an execution with a target of its own.
func newExecution(name string, steps []wfev1.Step) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "6ba7b810"},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Steps:  steps,
		},
	}
}

// readCatalog reads the shipped actions that the measurements use.
func readCatalog() (translate.Catalog, error) {
	root, err := testutil.Root()
	if err != nil {
		return nil, err
	}
	catalog := translate.Catalog{}
	for _, name := range []string{"scale-deployment", "wait"} {
		objects, err := testutil.ReadManifests(filepath.Join(root, "config", "actions", name+".yaml"))
		if err != nil {
			return nil, err
		}
		template := &wfv1.ClusterWorkflowTemplate{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, template); err != nil {
			return nil, err
		}
		if catalog[name], err = translate.NewAction(template.Kind, template.ObjectMeta, &template.Spec); err != nil {
			return nil, err
		}
	}
	return catalog, nil
}

// plan is the plan of a valid execution.
func plan(wfe *wfev1.WorkflowExecution, catalog translate.Catalog) *translate.Plan {
	made, err := translate.NewPlan(wfe, catalog)
	if err != nil {
		panic(err) // the executions are valid
	}
	return made
}

// run adds the nodes of a Workflow whose steps all succeeded. Each step has a Retry node with so many attempts, or a single
// pod node if attempts is 0.
func run(wf *wfv1.Workflow, attempts int) {
	began := time.Unix(1_700_000_000, 0)
	wf.Status.Phase, wf.Status.StartedAt, wf.Status.Nodes = wfv1.WorkflowRunning, metav1.NewTime(began), wfv1.Nodes{}
	for _, task := range wf.Spec.Templates[0].DAG.Tasks {
		name := wf.Name + "." + task.Name
		outputs := &wfv1.Outputs{ExitCode: ptr.To("0"), Parameters: []wfv1.Parameter{
			{Name: "changed", Value: wfv1.AnyStringPtr("true")}, {Name: "previous-replicas", Value: wfv1.AnyStringPtr("3")},
		}}
		node := wfv1.NodeStatus{
			Name: name, Type: wfv1.NodeTypePod, TemplateName: task.Template, TemplateScope: "local/" + wf.Name, BoundaryID: wf.Name,
			Phase: wfv1.NodeSucceeded, StartedAt: metav1.NewTime(began), FinishedAt: metav1.NewTime(began.Add(9 * time.Second)),
			Inputs: &wfv1.Inputs{Parameters: task.Arguments.Parameters}, Outputs: outputs, HostNodeName: "worker-1",
			Progress: "1/1", ResourcesDuration: wfv1.ResourcesDuration{"cpu": 1, "memory": 20},
		}
		if attempts > 0 {
			retry := node
			retry.Type = wfv1.NodeTypeRetry
			for i := range attempts {
				node.Name = fmt.Sprintf("%s(%d)", name, i)
				node.Phase, node.Message, node.Outputs = wfv1.NodeFailed, "main: Error (exit code 1)", nil
				if i == attempts-1 {
					node.Phase, node.Message, node.Outputs = wfv1.NodeSucceeded, "", outputs
				}
				retry.Children = append(retry.Children, put(wf, node))
			}
			node = retry
		}
		put(wf, node)
	}
}

// put adds a node under its ID.
func put(wf *wfv1.Workflow, node wfv1.NodeStatus) string {
	node.ID = wf.NodeID(node.Name)
	node.DisplayName = node.Name[strings.LastIndex(node.Name, ".")+1:]
	wf.Status.Nodes[node.ID] = node
	return node.ID
}
