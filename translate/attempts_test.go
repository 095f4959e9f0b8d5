package translate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// retried is the Retry node of step a with its attempts, numbered as Argo numbers them.
func retried(phase wfv1.NodePhase, message string, attempts ...wfv1.NodeStatus) []wfv1.NodeStatus {
	nodes := []wfv1.NodeStatus{node(wfv1.NodeTypeRetry, "a", phase, withTimes(10, 0), withMessage(message))}
	if phase != wfv1.NodeRunning {
		nodes[0].FinishedAt = at(80)
	}
	for i, attempt := range attempts {
		attempt.Name = fmt.Sprintf("fix.a(%d)", i)
		nodes = append(nodes, attempt)
	}
	return nodes
}

func TestStepsOfRetries(t *testing.T) {
	lastPod := func(n int) string { return "fix-noop-" + fnvOf(fmt.Sprintf("a(%d)", n)) }
	failed := func(options ...func(*wfv1.NodeStatus)) wfv1.NodeStatus {
		return pod("", wfv1.NodeFailed, append([]func(*wfv1.NodeStatus){onHost("host"), withTimes(11, 20), withMessage("main: Error (exit code 1)")}, options...)...)
	}
	cases := map[string]struct {
		reason   string
		nodes    []wfv1.NodeStatus
		shutdown wfv1.ShutdownStrategy
		want     wfev1.StepStatus
	}{
		"NoAttemptYet": {
			reason: "A Retry node without children waits for its first pod.",
			nodes:  retried(wfv1.NodeRunning, ""),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Running"},
		},
		"FirstPending": {
			reason: "The Retry node runs, the step does not: its first pod has not started.",
			nodes:  retried(wfv1.NodeRunning, "", pod("", wfv1.NodePending, withTimes(11, 0), withMessage("ErrImagePull: no"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepPending, ArgoPhase: "Running", StartTime: atPtr(11), Attempts: 1, PodName: lastPod(0),
				Reason: wfev1.ReasonImagePullBackOff, Message: "ErrImagePull: no",
			},
		},
		"BackingOff": {
			reason: "Between two attempts the step runs, and the Retry node has the length of the pause.",
			nodes:  retried(wfv1.NodeRunning, "Backoff for 5s", failed()),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Running", StartTime: atPtr(11), Attempts: 1, PodName: lastPod(0), Message: "Backoff for 5s"},
		},
		"SecondRuns": {
			reason: "The step started with its first attempt; its pod is the last one's.",
			nodes:  retried(wfv1.NodeRunning, "", failed(), pod("", wfv1.NodeRunning, withTimes(30, 0))),
			want:   wfev1.StepStatus{Phase: wfev1.StepRunning, ArgoPhase: "Running", StartTime: atPtr(11), Attempts: 2, PodName: lastPod(1)},
		},
		"SecondSucceeds": {
			reason: "The end is the last pod's: the Retry node ends a requeue later.",
			nodes:  append(retried(wfv1.NodeSucceeded, "", failed(), pod("", wfv1.NodeSucceeded, withTimes(30, 40)))[1:], node(wfv1.NodeTypeRetry, "a", wfv1.NodeSucceeded, withTimes(10, 80), outputs("text", "x"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", StartTime: atPtr(11), CompletionTime: atPtr(40), Attempts: 2, PodName: lastPod(1),
				Outputs: []wfev1.Output{{Name: "text", Value: "x"}},
			},
		},
		"NoMoreRetries": {
			reason: "The Retry node has no reason; the last attempt has it.",
			nodes:  retried(wfv1.NodeFailed, "No more retries left", failed(), failed(withMessage("main: OOMKilled (exit code 137)"), withTimes(30, 40))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(40), Attempts: 2, PodName: lastPod(1),
				Reason: wfev1.ReasonOOMKilled, Message: "main: OOMKilled (exit code 137)",
			},
		},
		"LastEndUnknown": {
			reason: "If the last pod has no end time, that of the Retry node counts.",
			nodes:  retried(wfv1.NodeFailed, "No more retries left", failed(func(n *wfv1.NodeStatus) { n.FinishedAt = metav1.Time{} })),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(80), Attempts: 1, PodName: lastPod(0),
				Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)",
			},
		},
		"OutputsOfTheLastAttempt": {
			reason: "Argo copies the outputs of the last attempt onto the Retry node, after a failure too; an undo may need them.",
			nodes: append(retried(wfv1.NodeFailed, "", failed(outputs("text", "first")), failed(outputs("text", "last")))[1:],
				node(wfv1.NodeTypeRetry, "a", wfv1.NodeFailed, withTimes(10, 80), withMessage("No more retries left"), outputs("text", "last"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(20), Attempts: 2, PodName: lastPod(1),
				Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)", Outputs: []wfev1.Output{{Name: "text", Value: "last"}},
			},
		},
		"StoppedInBackoff": {
			reason:   "A step that still had attempts left was stopped by the shutdown.",
			shutdown: wfv1.ShutdownStrategyStop,
			nodes:    retried(wfv1.NodeFailed, "Stopped with strategy 'Stop'", failed()),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(20), Attempts: 1, PodName: lastPod(0),
				Message: "stopped before it ended",
			},
		},
		"StoppedWithoutAttemptsLeft": {
			reason:   "A step that had used up its attempts failed by itself, although the Retry node notes the shutdown.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			nodes:    retried(wfv1.NodeFailed, "Stopped with strategy 'Terminate'", failed(), failed(), failed()),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(20), Attempts: 3, PodName: lastPod(2),
				Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)",
			},
		},
		"StoppedAfterNeverWorks": {
			reason:   "A step whose exit code excludes retries failed by itself.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			nodes:    retried(wfv1.NodeFailed, "Stopped with strategy 'Terminate'", failed(withExitCode("64"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepFailed, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(20), Attempts: 1, PodName: lastPod(0),
				Reason: wfev1.ReasonActionFailed, Message: "main: Error (exit code 1)",
			},
		},
		"LastAttemptStopped": {
			reason:   "A last attempt that a shutdown killed is cancelled, whether or not more were left.",
			shutdown: wfv1.ShutdownStrategyTerminate,
			nodes:    retried(wfv1.NodeFailed, "Stopped with strategy 'Terminate'", failed(), failed(), failed(withMessage("workflow shutdown with strategy:  Terminate"))),
			want: wfev1.StepStatus{
				Phase: wfev1.StepCancelled, ArgoPhase: "Failed", StartTime: atPtr(11), CompletionTime: atPtr(20), Attempts: 3, PodName: lastPod(2),
				Message: "stopped before it ended",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wf := newWorkflow(wfv1.WorkflowRunning, tc.nodes...)
			wf.Spec.Shutdown = tc.shutdown
			wf.Spec.Templates = []wfv1.Template{{Name: "noop", RetryStrategy: &wfv1.RetryStrategy{Limit: ptr.To(intstr.FromInt32(2))}}}
			tc.want.Name, tc.want.Action = "a", "noop"
			if diff := cmp.Diff([]wfev1.StepStatus{tc.want}, Steps(pending("a"), wf)); diff != "" {
				t.Errorf("%s\nstep (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestImageReasonSurvivesTheDeadline follows a step whose image never comes through what Argo writes about it.
func TestImageReasonSurvivesTheDeadline(t *testing.T) {
	for name, end := range map[string]string{
		"Deadline": "Pod was active on the node longer than the specified deadline", "Timeout": "Step exceeded its deadline", "Deleted": "pod deleted",
	} {
		t.Run(name, func(t *testing.T) {
			steps := pending("a")
			for _, message := range []string{"ContainerCreating", "ErrImagePull: no such image", "ImagePullBackOff: Back-off"} {
				steps = Steps(steps, newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodePending, withTimes(10, 0), withMessage(message))))
			}
			steps = Steps(steps, newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withTimes(10, 50), withMessage(end))))
			want := wfev1.StepStatus{
				Name: "a", Action: "noop", Phase: wfev1.StepFailed, ArgoPhase: "Failed", Reason: wfev1.ReasonImagePullBackOff,
				Message: "the pod did not start in time: ImagePullBackOff: Back-off", StartTime: atPtr(10), CompletionTime: atPtr(50),
				Attempts: 1, PodName: "fix-noop-" + fnvOf("a"),
			}
			if diff := cmp.Diff([]wfev1.StepStatus{want}, steps); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

// argoPodName is Argo's own function (workflow/util/pod_name.go GeneratePodName, v3.7.18) word for word but for the hash,
// which Argo's NodeID gives. The package itself would bring three database drivers into the module.
func argoPodName(wf *wfv1.Workflow, nodeName, templateName, nodeID, version string) string {
	if version == "v1" {
		return nodeID
	}
	if wf.Name == nodeName {
		return wf.Name
	}
	prefix := wf.Name
	if templateName != "" {
		prefix = fmt.Sprintf("%s-%s", prefix, templateName)
	}
	const maxPrefixLength = 253 - 10
	if len(prefix) > maxPrefixLength-1 {
		prefix = prefix[0 : maxPrefixLength-1]
	}
	return prefix + wf.NodeID(nodeName)[len(wf.Name):]
}

func TestPodName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wf := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: rapid.StringMatching(`[a-z][-a-z0-9]{0,60}`).Draw(t, "workflow")}}
		version := rapid.SampledFrom([]string{"", "v1", "v2", "v9"}).Draw(t, "version")
		if version != "" {
			wf.Annotations = map[string]string{"workflows.argoproj.io/pod-name-format": version}
		}
		n := &wfv1.NodeStatus{Name: rapid.OneOf(rapid.Just(wf.Name), rapid.StringMatching(`[a-z.()0-9]{1,30}`)).Draw(t, "node"), ID: "id"}
		template := rapid.StringMatching(`[-a-z0-9]{0,240}`).Draw(t, "template")
		if rapid.Bool().Draw(t, "reference") {
			n.TemplateName, n.TemplateRef = "other", &wfv1.TemplateRef{Template: template}
		} else {
			n.TemplateName = template
		}
		if diff := cmp.Diff(argoPodName(wf, n.Name, template, n.ID, version), podName(wf, n)); diff != "" {
			t.Errorf("pod name (-want +got):\n%s", diff)
		}
	})
}

func TestPendingSince(t *testing.T) {
	cases := map[string]struct {
		reason string
		nodes  []wfv1.NodeStatus
		since  *metav1.Time
		pod    string
	}{
		"NoNode":  {reason: "Nothing waits that was not asked for."},
		"Pending": {"The pod waits.", []wfv1.NodeStatus{pod("a", wfv1.NodePending, withTimes(10, 0))}, atPtr(10), "fix-noop-" + fnvOf("a")},
		"Running": {"The pod has started.", []wfv1.NodeStatus{pod("a", wfv1.NodeRunning, withTimes(10, 0))}, nil, ""},
		"Suspend": {"An approval has no pod.", []wfv1.NodeStatus{node(wfv1.NodeTypeSuspend, "a", wfv1.NodePending, withTimes(10, 0))}, nil, ""},
		"SecondAttempt": {
			"It is the last attempt that waits.",
			retried(wfv1.NodeRunning, "", pod("", wfv1.NodeFailed, withTimes(10, 20)), pod("", wfv1.NodePending, withTimes(30, 0))), atPtr(30), "fix-noop-" + fnvOf("a(1)"),
		},
		"NoAttempt": {"A Retry node has no pod.", retried(wfv1.NodeRunning, ""), nil, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			since, podName := PendingSince(newWorkflow(wfv1.WorkflowRunning, tc.nodes...), "a")
			if !since.Equal(tc.since) || podName != tc.pod {
				t.Errorf("%s\nwant %v, %q, got %v, %q", tc.reason, tc.since, tc.pod, since, podName)
			}
		})
	}
}

func TestRunning(t *testing.T) {
	nodes := append(retried(wfv1.NodeRunning, "", pod("", wfv1.NodeFailed), pod("", wfv1.NodeRunning)),
		pod("b", wfv1.NodePending), pod("c", wfv1.NodeSucceeded, synced(false)), pod("d", wfv1.NodeSucceeded), pod("e", wfv1.NodeError),
		node(wfv1.NodeTypeSuspend, "f", wfv1.NodeRunning), node(wfv1.NodeTypeDAG, "", wfv1.NodeRunning))
	if got := Running(newWorkflow(wfv1.WorkflowRunning, nodes...)); got != 3 {
		t.Errorf("want 3 pods on their way (running, pending, unsynced), got %d", got)
	}
}

func TestIsIdle(t *testing.T) {
	ended := []wfv1.NodeStatus{node(wfv1.NodeTypeDAG, "", wfv1.NodeRunning), pod("a", wfv1.NodeSucceeded), pod("b", wfv1.NodeFailed)}
	for name, tc := range map[string]struct {
		nodes []wfv1.NodeStatus
		want  bool
	}{
		"only the DAG is left":              {ended, true},
		"a pod runs":                        {append(ended[:3:3], pod("c", wfv1.NodeRunning)), false},
		"an approval is awaited":            {append(ended[:3:3], node(wfv1.NodeTypeSuspend, "c", wfv1.NodeRunning)), false},
		"a retry waits for its next time":   {append(ended[:3:3], node(wfv1.NodeTypeRetry, "c", wfv1.NodeRunning)), false},
		"an approval was given":             {append(ended[:3:3], node(wfv1.NodeTypeSuspend, "c", wfv1.NodeSucceeded)), true},
		"unknown: there are no nodes":       {nil, false},
		"a pod's results are not there yet": {append(ended[:3:3], pod("c", wfv1.NodeSucceeded, synced(false))), false},
	} {
		if got := IsIdle(newWorkflow(wfv1.WorkflowRunning, tc.nodes...)); got != tc.want {
			t.Errorf("%s: want %t, got %t", name, tc.want, got)
		}
	}
}
