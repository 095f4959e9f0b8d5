package controllers_test

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// argo stands in for Argo's controller. It is a simulation: no pod runs, and nothing happens that a spec does not ask
// for. What it writes is what Argo v3.7 writes, where our controller looks: nodes under the computed IDs, Retry nodes
// with a child for each attempt, times in whole seconds, the messages of a shutdown. What it cannot show is how Argo
// itself decides; that is the business of test/e2e.
type argo struct{ key types.NamespacedName }

// event is something that happens in a Workflow; several of them can be seen in one write.
type event func(*wfv1.Workflow)

// argoOf plays Argo for the Workflow of an execution, which must exist.
func argoOf(wfe *wfev1.WorkflowExecution) argo {
	GinkgoHelper()
	workflowOf(wfe)
	return argo{key: client.ObjectKeyFromObject(wfe)}
}

// write lets events happen and writes the Workflow once, as Argo does at the end of each of its looks.
func (a argo) write(events ...event) {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(admin.Get(ctx, a.key, wf)).To(Succeed())
	was := wf.DeepCopy()
	if wf.Status.Phase == "" {
		pickUp(wf)
	}
	for _, happen := range events {
		happen(wf)
	}
	Expect(admin.Patch(ctx, wf, client.MergeFrom(was))).To(Succeed())
}

func pickUp(wf *wfv1.Workflow) {
	wf.Status.Phase, wf.Status.StartedAt = wfv1.WorkflowRunning, second()
	wf.Status.Nodes = wfv1.Nodes{}
	put(wf, wfv1.NodeStatus{Name: wf.Name, Type: wfv1.NodeTypeDAG, Phase: wfv1.NodeRunning, TemplateName: wf.Spec.Entrypoint, StartedAt: second()})
}

// pend makes the pod of a step's next attempt, which does not start yet.
func pend(task, message string) event {
	return func(wf *wfv1.Workflow) { attempt(wf, task, wfv1.NodePending).set(message) }
}

// run starts a step, or lets its pending pod start.
func run(task string) event {
	return func(wf *wfv1.Workflow) {
		started := attempt(wf, task, wfv1.NodeRunning)
		started.node.HostNodeName = "host"
		started.set("")
	}
}

// succeed ends a step well. Outputs are written as name=value.
func succeed(task string, outputs ...string) event {
	return func(wf *wfv1.Workflow) {
		var values *wfv1.Outputs
		for _, output := range outputs {
			name, value, _ := strings.Cut(output, "=")
			if values == nil {
				values = &wfv1.Outputs{}
			}
			values.Parameters = append(values.Parameters, wfv1.Parameter{Name: name, Value: wfv1.AnyStringPtr(value)})
		}
		last := lastAttempt(wf, task)
		last.Outputs = values
		end(wf, last, wfv1.NodeSucceeded, "")
		if retry, ok := retryNode(wf, task); ok {
			retry.Outputs = values
			end(wf, retry, wfv1.NodeSucceeded, "")
		}
	}
}

// fail ends the current attempt of a step. The step ends too when no attempt is left.
func fail(task, message string) event {
	return func(wf *wfv1.Workflow) {
		end(wf, lastAttempt(wf, task), wfv1.NodeFailed, message)
		retry, ok := retryNode(wf, task)
		if ok && len(retry.Children) > templateOf(wf, task).RetryStrategy.Limit.IntValue() {
			end(wf, retry, wfv1.NodeFailed, "No more retries left")
		}
	}
}

// lose ends the current attempt of a step as Argo does when it finds the pod gone.
func lose(task string) event {
	return func(wf *wfv1.Workflow) { end(wf, lastAttempt(wf, task), wfv1.NodeError, "pod deleted") }
}

// skip does not run a step, since its condition does not hold.
func skip(task string) event {
	return func(wf *wfv1.Workflow) {
		put(wf, wfv1.NodeStatus{
			Name: wf.Name + "." + task, Type: wfv1.NodeTypeSkipped, Phase: wfv1.NodeSkipped, Message: "when 'false' evaluated false",
			StartedAt: second(), FinishedAt: second(),
		})
	}
}

// omit does not run a step, since its dependencies do not allow it.
func omit(task string) event {
	return func(wf *wfv1.Workflow) {
		put(wf, wfv1.NodeStatus{
			Name: wf.Name + "." + task, Type: wfv1.NodeTypeSkipped, Phase: wfv1.NodeOmitted, Message: "omitted: depends condition not met",
			StartedAt: second(), FinishedAt: second(),
		})
	}
}

// finish ends the Workflow.
func finish(phase wfv1.WorkflowPhase) event {
	return func(wf *wfv1.Workflow) {
		wf.Status.Phase, wf.Status.FinishedAt = phase, second()
		root := wf.Status.Nodes[wf.Name]
		end(wf, &root, wfv1.NodePhase(phase), "")
		metav1.SetMetaDataLabel(&wf.ObjectMeta, "workflows.argoproj.io/completed", "true")
	}
}

// obeyShutdown does what Argo does when it sees spec.shutdown (exec_control.go:42, operator.go:1008).
func obeyShutdown(wf *wfv1.Workflow) {
	ExpectWithOffset(3, wf.Spec.Shutdown).NotTo(BeEmpty(), "nobody asked for a shutdown")
	ExpectWithOffset(3, isSuspended(wf)).To(BeFalse(), "Argo never ends a suspended Workflow")
	for _, node := range wf.Status.Nodes {
		switch {
		case node.Fulfilled() || node.Name == wf.Name:
		case node.Type == wfv1.NodeTypePod:
			end(wf, &node, wfv1.NodeFailed, fmt.Sprintf("workflow shutdown with strategy:  %s", wf.Spec.Shutdown))
		default:
			end(wf, &node, wfv1.NodeFailed, fmt.Sprintf("Stopped with strategy '%s'", wf.Spec.Shutdown))
		}
	}
	finish(wfv1.WorkflowFailed)(wf)
	wf.Status.Message = fmt.Sprintf("Stopped with strategy '%s'", wf.Spec.Shutdown)
}

// pod is a node that does the work of one attempt.
type pod struct {
	wf   *wfv1.Workflow
	node *wfv1.NodeStatus
}

func (p pod) set(message string) {
	p.node.Message = message
	put(p.wf, *p.node)
}

// attempt is the step's unfinished attempt, or else a new one, in a phase.
func attempt(wf *wfv1.Workflow, task string, phase wfv1.NodePhase) pod {
	if last := lastAttempt(wf, task); last != nil && !last.Fulfilled() {
		last.Phase = phase
		return pod{wf, last}
	}
	ExpectWithOffset(4, isSuspended(wf)).To(BeFalse(), "Argo starts no step of a suspended Workflow")
	ExpectWithOffset(4, wf.Spec.Shutdown).To(BeEmpty(), "Argo starts no step of a Workflow that is shut down")
	name := wf.Name + "." + task
	if templateOf(wf, task).RetryStrategy != nil {
		retry, ok := retryNode(wf, task)
		if !ok {
			retry = &wfv1.NodeStatus{Name: name, Type: wfv1.NodeTypeRetry, Phase: wfv1.NodeRunning, StartedAt: second()}
		}
		name = fmt.Sprintf("%s(%d)", name, len(retry.Children))
		retry.Children = append(retry.Children, wf.NodeID(name))
		retry.TemplateName = templateOf(wf, task).Name
		put(wf, *retry)
	}
	return pod{wf, &wfv1.NodeStatus{Name: name, Type: wfv1.NodeTypePod, Phase: phase, TemplateName: templateOf(wf, task).Name, StartedAt: second()}}
}

// lastAttempt is the step's youngest pod node, or nil.
func lastAttempt(wf *wfv1.Workflow, task string) *wfv1.NodeStatus {
	name := wf.Name + "." + task
	if retry, ok := retryNode(wf, task); ok {
		name = fmt.Sprintf("%s(%d)", name, len(retry.Children)-1)
	}
	node, ok := wf.Status.Nodes[wf.NodeID(name)]
	if !ok {
		return nil
	}
	return &node
}

func retryNode(wf *wfv1.Workflow, task string) (*wfv1.NodeStatus, bool) {
	node, ok := wf.Status.Nodes[wf.NodeID(wf.Name+"."+task)]
	return &node, ok && node.Type == wfv1.NodeTypeRetry
}

func templateOf(wf *wfv1.Workflow, task string) *wfv1.Template {
	for i := range wf.Spec.Templates {
		if wf.Spec.Templates[i].Name != wf.Spec.Entrypoint {
			continue
		}
		tasks := wf.Spec.Templates[i].DAG.Tasks
		at := slices.IndexFunc(tasks, func(t wfv1.DAGTask) bool { return t.Name == task })
		ExpectWithOffset(5, at).NotTo(Equal(-1), "the Workflow has no task %q", task)
		return wf.GetTemplateByName(tasks[at].Template)
	}
	Fail("the Workflow has no entrypoint")
	return nil
}

func end(wf *wfv1.Workflow, node *wfv1.NodeStatus, phase wfv1.NodePhase, message string) {
	node.Phase, node.Message, node.FinishedAt = phase, message, second()
	put(wf, *node)
}

func put(wf *wfv1.Workflow, node wfv1.NodeStatus) {
	node.ID = wf.NodeID(node.Name)
	node.DisplayName = node.Name[strings.LastIndex(node.Name, ".")+1:]
	wf.Status.Nodes[node.ID] = node
}

// podNameOf is what Argo calls the pod of a node (workflow/util/pod_name.go, format v2).
func podNameOf(wf *wfv1.Workflow, node *wfv1.NodeStatus) string {
	return wf.Name + "-" + node.TemplateName + strings.TrimPrefix(node.ID, wf.Name)
}

func isSuspended(wf *wfv1.Workflow) bool { return wf.Spec.Suspend != nil && *wf.Spec.Suspend }

func second() metav1.Time { return metav1.Unix(moment.Now().Unix(), 0) }
