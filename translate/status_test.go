package translate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// fnvOf is the hash that Argo puts at the end of IDs and pod names, taken from Argo's own function.
func fnvOf(nodeName string) string {
	wf := newWorkflow("")
	return wf.NodeID("fix." + nodeName)[len("fix-"):]
}

func TestSteps(t *testing.T) {
	const stopped = "stopped before it ended"
	cases := map[string]struct {
		reason   string
		previous wfev1.StepStatus
		wf       *wfv1.Workflow
		shutdown wfv1.ShutdownStrategy
		want     wfev1.StepStatus
	}{
		"NoNode": {
			reason: "A step without a node in a live Workflow waits for its turn.",
			wf:     newWorkflow(wfv1.WorkflowRunning),
			want:   wfev1.StepStatus{Phase: wfev1.StepPending},
		},
		"NoNodeAtTheEnd": {
			reason: "A step without a node in a Workflow that has ended never ran.",
			wf:     newWorkflow(wfv1.WorkflowFailed),
			want:   wfev1.StepStatus{Phase: wfev1.StepSkipped, Message: "never started"},
		},
		"NodeVanished": {
			reason:   "A step that was seen running did run, whatever became of its node.",
			previous: wfev1.StepStatus{Phase: wfev1.StepRunning, StartTime: atPtr(10)},
			wf:       newWorkflow(wfv1.WorkflowError),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, Reason: wfev1.ReasonUnknown, StartTime: atPtr(10), CompletionTime: atPtr(90),
				Message: "the Workflow ended before the step did: wf says",
			},
		},
		"Pending": {
			reason: "The pod was asked for; what keeps it is told when it is not known to pass by itself.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodePending, withTimes(10, 0), withMessage("Unschedulable: 0/3 nodes"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepPending, ArgoPhase: "Pending", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
				Message: "Unschedulable: 0/3 nodes",
			},
		},
		"PendingImage": {
			reason: "An image that cannot be pulled is a reason before the step ends.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodePending, withTimes(10, 0), withMessage("ImagePullBackOff: Back-off pulling image"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepPending, ArgoPhase: "Pending", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
				Reason: wfev1.ReasonImagePullBackOff, Message: "ImagePullBackOff: Back-off pulling image",
			},
		},
		"Running": {
			reason:   "A step that runs has no reason any more.",
			previous: wfev1.StepStatus{Phase: wfev1.StepPending, Reason: wfev1.ReasonImagePullBackOff, Message: "ErrImagePull"},
			wf:       newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeRunning, withTimes(10, 0))),
			want:     wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Running", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a")},
		},
		"Succeeded": {
			reason:   "Messages from before the completion are dropped.",
			previous: wfev1.StepStatus{Phase: wfev1.StepRunning, Message: "Backoff for 5s", StartTime: atPtr(10)},
			wf:       newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeSucceeded, withTimes(10, 20), synced(true), outputs("changed", "true", "n", ""))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1,
				PodName: "fix-noop-" + fnvOf("a"), Outputs: []wfev1.Output{{Name: "changed", Value: "true"}, {Name: "n"}},
			},
		},
		"NotSynced": {
			reason: "A pod that ended without its outputs having arrived has not ended.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeSucceeded, withTimes(10, 20), synced(false))),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Succeeded", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a")},
		},
		"FailedNotSynced": {
			reason: "The same holds for a failed pod: its outputs may still come.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withTimes(10, 20), synced(false))),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Failed", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a")},
		},
		"NotSyncedAtTheEnd": {
			reason: "Once the Workflow has ended nothing more comes.",
			wf:     newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeSucceeded, withTimes(10, 20), synced(false))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"ZeroTimes": {
			reason: "Argo writes the zero time where it does not know; an unset time is honest.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeSucceeded)),
			want:   wfev1.StepStatus{Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", Attempts: 1, PodName: "fix-noop-" + fnvOf("a")},
		},
		"FailedWithOutputs": {
			reason: "Outputs are saved after a failure too; an undo of the failed step may need them.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withTimes(10, 20), outputs("previous", "3"), withMessage("main: Error (exit code 1)"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)",
				StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"), Outputs: []wfev1.Output{{Name: "previous", Value: "3"}},
			},
		},
		"WhenFalse": {
			reason: "A node of type Skipped has no pod, so no attempt and no times.",
			wf:     newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSkipped, "a", wfv1.NodeSkipped, withTimes(10, 10), withMessage("when 'false' evaluated false"))),
			want:   wfev1.StepStatus{Phase: wfev1.StepSkipped, ArgoPhase: "Skipped", Message: "when 'false' evaluated false"},
		},
		"Omitted": {
			reason: "A step whose dependencies failed is skipped, and its Argo phase distinguishes it from one whose condition did not hold.",
			wf:     newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSkipped, "a", wfv1.NodeOmitted, withTimes(10, 10), withMessage("omitted: depends condition not met"))),
			want:   wfev1.StepStatus{Phase: wfev1.StepSkipped, ArgoPhase: "Omitted", Message: "omitted: depends condition not met"},
		},
		"SkippedTypeInError": {
			reason: "A condition that Argo cannot evaluate is a failure of the step, though no pod ran.",
			wf:     newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSkipped, "a", wfv1.NodeError, withTimes(10, 10), withMessage("Invalid 'when' expression"))),
			want:   wfev1.StepStatus{Phase: wfev1.StepFailed, ArgoPhase: "Error", Reason: wfev1.ReasonUnknown, Message: "Invalid 'when' expression", CompletionTime: atPtr(10)},
		},
		"UnknownPhaseAlive": {
			reason: "A phase of a later Argo is no end while the Workflow lives.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("a", "Paused", withTimes(10, 0))),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Paused", StartTime: atPtr(10), Attempts: 1, PodName: "fix-noop-" + fnvOf("a")},
		},
		"UnknownPhaseAtTheEnd": {
			reason: "An unknown phase is no success.",
			wf:     newWorkflow(wfv1.WorkflowSucceeded, pod("a", "Paused", withTimes(10, 20), withMessage("later"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Paused", Reason: wfev1.ReasonUnknown, Message: `Argo reports the unknown phase "Paused": later`,
				StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"RunningAtTheEnd": {
			reason: "A step whose Workflow ended under it did not complete.",
			wf:     newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeRunning, withTimes(10, 0))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Running", Reason: wfev1.ReasonUnknown, Message: "the Workflow ended before the step did: wf says",
				StartTime: atPtr(10), CompletionTime: atPtr(90), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"RunningAtAShutdown": {
			reason:   "A step that we stopped is cancelled.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			wf:       newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeRunning, withTimes(10, 0))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Running", Message: stopped,
				StartTime: atPtr(10), CompletionTime: atPtr(90), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"StoppedPod": {
			reason:   "Argo calls a pod that it stopped Failed.",
			shutdown: wfv1.ShutdownStrategyStop,
			wf:       newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withTimes(10, 20), onHost("host"), withMessage("workflow shutdown with strategy:  Stop"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Failed", Message: stopped,
				StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"StoppedWithoutAWord": {
			reason:   "Argo stops the pod before it writes down why, and that write can be lost.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			wf:       newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeFailed, withTimes(10, 20), onHost("host"), withMessage("main: Error (exit code 143)"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Failed", Message: stopped,
				StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"StoppedBeforeItsPod": {
			reason:   "Argo makes a node, and fails it at once, for a step whose turn came with the shutdown: it never started.",
			shutdown: wfv1.ShutdownStrategyStop,
			wf:       newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withTimes(10, 10), withMessage("workflow shutdown with strategy:  Stop"))),
			want:     wfev1.StepStatus{Phase: wfev1.StepSkipped, ArgoPhase: "Failed", Message: "never started"},
		},
		"FailedBeforeTheShutdown": {
			reason:   "A step that failed by itself stays failed, whatever is shut down because of it.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			wf:       newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeFailed, withTimes(10, 20), withMessage("main: Error (exit code 1)"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)",
				StartTime: atPtr(10), CompletionTime: atPtr(20), Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			},
		},
		"OtherNodeOfTheSameKey": {
			reason: "Keys are hashes; the name decides.",
			wf:     withNodeUnder(newWorkflow(wfv1.WorkflowRunning), "fix.a", pod("other", wfv1.NodeFailed)),
			want:   wfev1.StepStatus{Phase: wfev1.StepPending},
		},
		"DisplayName": {
			reason: "A node is never found by its display name.",
			wf:     newWorkflow(wfv1.WorkflowRunning, pod("b", wfv1.NodeFailed, func(n *wfv1.NodeStatus) { n.DisplayName = "a" })),
			want:   wfev1.StepStatus{Phase: wfev1.StepPending},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			previous, want := tc.previous, tc.want
			previous.Name, previous.Action, want.Name, want.Action = "a", "noop", "a", "noop"
			if previous.Phase == "" {
				previous.Phase = wfev1.StepPending
			}
			tc.wf.Spec.Shutdown, tc.wf.Status.FinishedAt, tc.wf.Status.Message = tc.shutdown, at(90), "wf says"
			got := Steps([]wfev1.StepStatus{previous}, tc.wf)
			if diff := cmp.Diff([]wfev1.StepStatus{want}, got); diff != "" {
				t.Errorf("%s\nstep (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func withNodeUnder(wf *wfv1.Workflow, name string, node wfv1.NodeStatus) *wfv1.Workflow {
	wf.Status.Nodes[wf.NodeID(name)] = node
	return wf
}

func TestStepsOfApprovals(t *testing.T) {
	cases := map[string]struct {
		reason   string
		node     wfv1.NodeStatus
		shutdown wfv1.ShutdownStrategy
		want     wfev1.StepStatus
	}{
		"Waiting": {
			reason: "A suspend node runs no pod.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeRunning, withTimes(10, 0)),
			want:   wfev1.StepStatus{Phase: wfev1.StepAwaitingApproval, ArgoPhase: "Running", StartTime: atPtr(10)},
		},
		"Approved": {
			reason: "An approved step is completed, and its message has the name of the user.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeSucceeded, withTimes(10, 40), withMessage("approved by ana")),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(10), CompletionTime: atPtr(40), Message: "approved by ana",
			},
		},
		"ResumedInArgo": {
			reason: "Argo's own Resume approves too, and is recorded as such.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeSucceeded, withTimes(10, 40), withMessage("Resumed by: map[User:ana]")),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(10), CompletionTime: atPtr(40),
				Message: "approved in Argo: Resumed by: map[User:ana]",
			},
		},
		"ResumedInArgoWithoutWords": {
			reason: "Without authentication, Argo does not record the user.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeSucceeded, withTimes(10, 40)),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(10), CompletionTime: atPtr(40), Message: "approved in Argo",
			},
		},
		"Rejected": {
			reason: "A rejection has its own reason, and keeps the message.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeFailed, withTimes(10, 40), withMessage("rejected by ana: a timeout is pending")),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(10), CompletionTime: atPtr(40),
				Reason: wfev1.ReasonApprovalRejected, Message: "rejected by ana: a timeout is pending",
			},
		},
		"RejectedInArgoWithoutWords": {
			reason: "Every failure has a message.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeFailed, withTimes(10, 40)),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(10), CompletionTime: atPtr(40),
				Reason: wfev1.ReasonApprovalRejected, Message: "rejected in Argo",
			},
		},
		"Expired": {
			reason: "A missing decision is no rejection.",
			node:   node(wfv1.NodeTypeSuspend, "a", wfv1.NodeFailed, withTimes(10, 40), withMessage(Expire(newWorkflow(""), "a", 30).Message)),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(10), CompletionTime: atPtr(40),
				Reason: wfev1.ReasonApprovalTimeout, Message: "not decided within 30 s",
			},
		},
		"Stopped": {
			reason:   "Argo fails a waiting node at a shutdown (operator.go:1342); it was not rejected, and it did wait.",
			node:     node(wfv1.NodeTypeSuspend, "a", wfv1.NodeFailed, withTimes(10, 40), withMessage("Stopped with strategy 'Terminate'")),
			shutdown: wfv1.ShutdownStrategyTerminate,
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Failed", StartTime: atPtr(10), CompletionTime: atPtr(40), Message: "stopped before it ended",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.want.Name = "a"
			steps := Steps([]wfev1.StepStatus{{Name: "a", Phase: wfev1.StepPending}}, newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSuspend, "a", wfv1.NodeRunning, withTimes(10, 0))))
			wf := newWorkflow(wfv1.WorkflowRunning, tc.node)
			wf.Spec.Shutdown = tc.shutdown
			if diff := cmp.Diff([]wfev1.StepStatus{tc.want}, Steps(steps, wf)); diff != "" {
				t.Errorf("%s\nstep (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestStepsAreSticky shows each terminal step everything that may come later: a Workflow that was retried, that ended,
// and one without the node.
func TestStepsAreSticky(t *testing.T) {
	later := map[string]*wfv1.Workflow{
		"Reopened": newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeRunning, withTimes(50, 0))),
		"Changed":  newWorkflow(wfv1.WorkflowFailed, pod("a", wfv1.NodeFailed, withTimes(50, 60), withMessage("OOMKilled"), outputs("text", "other"))),
		"Done":     newWorkflow(wfv1.WorkflowSucceeded, pod("a", wfv1.NodeSucceeded, withTimes(50, 60), outputs("text", "other"))),
		"Gone":     newWorkflow(wfv1.WorkflowFailed),
	}
	for _, phase := range []wfev1.StepPhase{wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepSkipped, wfev1.StepCancelled} {
		for name, wf := range later {
			t.Run(fmt.Sprintf("%s/%s", phase, name), func(t *testing.T) {
				steps := []wfev1.StepStatus{{
					Name: "a", Action: "noop", Phase: phase, Reason: "x", Message: "as it was", StartTime: atPtr(10), CompletionTime: atPtr(20),
					Attempts: 2, PodName: "p", ArgoPhase: "y", Outputs: []wfev1.Output{{Name: "text", Value: "first"}},
				}}
				if diff := cmp.Diff(steps, Steps(steps, wf)); diff != "" {
					t.Errorf("a step that has ended changed (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestInitialSteps(t *testing.T) {
	wfe := newExecution(newStep("c", after("b")), newStep("b", asApproval("Go on?")), scaleStep("a"))
	want := []wfev1.StepStatus{
		{Name: "b", Phase: wfev1.StepPending}, {Name: "c", Action: "noop", Phase: wfev1.StepPending},
		{Name: "a", Action: "scale-deployment", Phase: wfev1.StepPending},
	}
	if diff := cmp.Diff(want, InitialSteps(&wfe.Spec)); diff != "" {
		t.Errorf("steps in plan order (-want +got):\n%s", diff)
	}
}
