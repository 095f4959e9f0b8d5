package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// Event is one change of a Workflow. One write can contain several events.
type Event func(*wfv1.Workflow)

// Argo makes events and operates Workflows.
type Argo struct {
	// Now is Argo's clock.
	Now func() time.Time
}

// Timestamp is the current time in whole seconds, as Argo writes it.
func (a Argo) Timestamp() metav1.Time { return metav1.Unix(a.Now().Unix(), 0) }

// PickUp is the first change that Argo makes to a Workflow.
func (a Argo) PickUp(wf *wfv1.Workflow) {
	wf.Status.Phase, wf.Status.StartedAt = wfv1.WorkflowRunning, a.Timestamp()
	wf.Status.Nodes = wfv1.Nodes{}
	Put(wf, wfv1.NodeStatus{Name: wf.Name, Type: wfv1.NodeTypeDAG, Phase: wfv1.NodeRunning, TemplateName: wf.Spec.Entrypoint, StartedAt: a.Timestamp()})
}

// Pend creates the pod of a step's next attempt, which stays pending.
func (a Argo) Pend(task, message string) Event {
	return func(wf *wfv1.Workflow) { a.attempt(wf, task, wfv1.NodePending).set(message) }
}

// Run starts a step, or its pending pod.
func (a Argo) Run(task string) Event {
	return func(wf *wfv1.Workflow) {
		started := a.attempt(wf, task, wfv1.NodeRunning)
		started.node.HostNodeName = "host"
		started.set("")
	}
}

// Succeed ends a step successfully. Outputs are written as name=value.
func (a Argo) Succeed(task string, outputs ...string) Event {
	return func(wf *wfv1.Workflow) {
		var values *wfv1.Outputs
		for _, output := range outputs {
			name, value, _ := strings.Cut(output, "=")
			if values == nil {
				values = &wfv1.Outputs{}
			}
			values.Parameters = append(values.Parameters, wfv1.Parameter{Name: name, Value: wfv1.AnyStringPtr(value)})
		}
		last := LastAttempt(wf, task)
		last.Outputs = values
		a.End(wf, last, wfv1.NodeSucceeded, "")
		if retry, ok := RetryNode(wf, task); ok {
			retry.Outputs = values
			a.End(wf, retry, wfv1.NodeSucceeded, "")
		}
	}
}

// Fail ends the current attempt of a step. The step ends too when no attempt is left.
func (a Argo) Fail(task, message string) Event {
	return func(wf *wfv1.Workflow) {
		a.End(wf, LastAttempt(wf, task), wfv1.NodeFailed, message)
		retry, ok := RetryNode(wf, task)
		if ok && len(retry.Children) > templateOf(wf, task).RetryStrategy.Limit.IntValue() {
			a.End(wf, retry, wfv1.NodeFailed, "No more retries left")
		}
	}
}

// LosePod ends the current attempt of a step as Argo does when its pod is gone.
func (a Argo) LosePod(task string) Event {
	return func(wf *wfv1.Workflow) { a.End(wf, LastAttempt(wf, task), wfv1.NodeError, "pod deleted") }
}

// Skip skips a step because its condition is false.
func (a Argo) Skip(task string) Event {
	return a.pass(task, wfv1.NodeSkipped, "when 'false' evaluated false")
}

// Omit omits a step because its dependencies cannot be met.
func (a Argo) Omit(task string) Event {
	return a.pass(task, wfv1.NodeOmitted, "omitted: depends condition not met")
}

func (a Argo) pass(task string, phase wfv1.NodePhase, message string) Event {
	return func(wf *wfv1.Workflow) {
		Put(wf, wfv1.NodeStatus{
			Name: wf.Name + "." + task, Type: wfv1.NodeTypeSkipped, Phase: phase, Message: message,
			StartedAt: a.Timestamp(), FinishedAt: a.Timestamp(),
		})
	}
}

// Suspend starts a task with a suspend template, which waits for an approval.
func (a Argo) Suspend(task string) Event {
	return func(wf *wfv1.Workflow) {
		Put(wf, wfv1.NodeStatus{Name: wf.Name + "." + task, Type: wfv1.NodeTypeSuspend, Phase: wfv1.NodeRunning, TemplateName: "approval", StartedAt: a.Timestamp()})
	}
}

// Finish ends the Workflow.
func (a Argo) Finish(phase wfv1.WorkflowPhase) Event {
	return func(wf *wfv1.Workflow) {
		wf.Status.Phase, wf.Status.FinishedAt = phase, a.Timestamp()
		root := wf.Status.Nodes[wf.Name]
		a.End(wf, &root, wfv1.NodePhase(phase), "")
		metav1.SetMetaDataLabel(&wf.ObjectMeta, "workflows.argoproj.io/completed", "true")
	}
}

// ObeyShutdown ends a Workflow whose spec.shutdown is set (exec_control.go:42, operator.go:1008).
func (a Argo) ObeyShutdown(wf *wfv1.Workflow) {
	if wf.Spec.Shutdown == "" || IsSuspended(wf) {
		panic(fmt.Sprintf("Argo shuts down no Workflow that is suspended or has no spec.shutdown: shutdown %q", wf.Spec.Shutdown))
	}
	for _, node := range wf.Status.Nodes {
		switch {
		case node.Fulfilled() || node.Name == wf.Name:
		case node.Type == wfv1.NodeTypePod:
			a.End(wf, &node, wfv1.NodeFailed, fmt.Sprintf("workflow shutdown with strategy:  %s", wf.Spec.Shutdown))
		default:
			a.End(wf, &node, wfv1.NodeFailed, fmt.Sprintf("Stopped with strategy '%s'", wf.Spec.Shutdown))
		}
	}
	a.Finish(wfv1.WorkflowFailed)(wf)
	wf.Status.Message = fmt.Sprintf("Stopped with strategy '%s'", wf.Spec.Shutdown)
}

// End ends a node.
func (a Argo) End(wf *wfv1.Workflow, node *wfv1.NodeStatus, phase wfv1.NodePhase, message string) {
	node.Phase, node.Message, node.FinishedAt = phase, message, a.Timestamp()
	Put(wf, *node)
}

// pod is the node of one attempt.
type pod struct {
	wf   *wfv1.Workflow
	node *wfv1.NodeStatus
}

func (p pod) set(message string) {
	p.node.Message = message
	Put(p.wf, *p.node)
}

// attempt is the step's unfinished attempt, or a new one, in the given phase.
func (a Argo) attempt(wf *wfv1.Workflow, task string, phase wfv1.NodePhase) pod {
	if last := LastAttempt(wf, task); last != nil && !last.Fulfilled() {
		last.Phase = phase
		return pod{wf, last}
	}
	if IsSuspended(wf) || wf.Spec.Shutdown != "" {
		panic(fmt.Sprintf("Argo starts no step of a Workflow that is suspended or shut down: %q", task))
	}
	name := wf.Name + "." + task
	if templateOf(wf, task).RetryStrategy != nil {
		retry, ok := RetryNode(wf, task)
		if !ok {
			retry = &wfv1.NodeStatus{Name: name, Type: wfv1.NodeTypeRetry, Phase: wfv1.NodeRunning, StartedAt: a.Timestamp()}
		}
		name = fmt.Sprintf("%s(%d)", name, len(retry.Children))
		retry.Children = append(retry.Children, wf.NodeID(name))
		retry.TemplateName = templateOf(wf, task).Name
		Put(wf, *retry)
	}
	return pod{wf, &wfv1.NodeStatus{Name: name, Type: wfv1.NodeTypePod, Phase: phase, TemplateName: templateOf(wf, task).Name, StartedAt: a.Timestamp()}}
}

// LastAttempt is the step's newest pod node, or nil.
func LastAttempt(wf *wfv1.Workflow, task string) *wfv1.NodeStatus {
	name := wf.Name + "." + task
	if retry, ok := RetryNode(wf, task); ok {
		name = fmt.Sprintf("%s(%d)", name, len(retry.Children)-1)
	}
	node, ok := wf.Status.Nodes[wf.NodeID(name)]
	if !ok {
		return nil
	}
	return &node
}

// RetryNode is the node that has a step's attempts as its children.
func RetryNode(wf *wfv1.Workflow, task string) (*wfv1.NodeStatus, bool) {
	node, ok := wf.Status.Nodes[wf.NodeID(wf.Name+"."+task)]
	return &node, ok && node.Type == wfv1.NodeTypeRetry
}

func templateOf(wf *wfv1.Workflow, task string) *wfv1.Template {
	tasks := tasksOf(wf)
	at := slices.IndexFunc(tasks, func(t wfv1.DAGTask) bool { return t.Name == task })
	if at < 0 {
		panic(fmt.Sprintf("the Workflow has no task %q", task))
	}
	return wf.GetTemplateByName(tasks[at].Template)
}

// tasksOf are the tasks of the entrypoint.
func tasksOf(wf *wfv1.Workflow) []wfv1.DAGTask {
	entrypoint := wf.GetTemplateByName(wf.Spec.Entrypoint)
	if entrypoint == nil || entrypoint.DAG == nil {
		panic("the Workflow has no entrypoint")
	}
	return entrypoint.DAG.Tasks
}

// Put writes a node under its computed ID.
func Put(wf *wfv1.Workflow, node wfv1.NodeStatus) {
	node.ID = wf.NodeID(node.Name)
	node.DisplayName = node.Name[strings.LastIndex(node.Name, ".")+1:]
	wf.Status.Nodes[node.ID] = node
}

// PodName is the name that Argo gives to the pod of a node (workflow/util/pod_name.go, format v2).
func PodName(wf *wfv1.Workflow, node *wfv1.NodeStatus) string {
	return wf.Name + "-" + node.TemplateName + strings.TrimPrefix(node.ID, wf.Name)
}

// IsSuspended reports whether a Workflow starts no new steps.
func IsSuspended(wf *wfv1.Workflow) bool { return wf.Spec.Suspend != nil && *wf.Spec.Suspend }
