package translate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestFailureReasons(t *testing.T) {
	const reported = "main: Error (exit code 64): "
	cases := map[string]struct {
		reason  string
		phase   wfv1.NodePhase
		message string
		want    wfev1.FailureReason
		text    string
	}{
		"OOMKilled":          {"Argo names the kubelet's reason.", wfv1.NodeFailed, "main: OOMKilled (exit code 137)", wfev1.ReasonOOMKilled, ""},
		"OOMKilledAtEnd":     {"The word can be at the end of the message.", wfv1.NodeError, "OOMKilled", wfev1.ReasonOOMKilled, ""},
		"Room":               {"A longer word that contains the word does not match.", wfv1.NodeFailed, "main: Error (exit code 1): no room in classroom", wfev1.ReasonActionFailed, ""},
		"LongerWord":         {"Adjacent letters and digits make a longer word.", wfv1.NodeFailed, "NotOOMKilled OOMKilled2", wfev1.ReasonActionFailed, ""},
		"SecondMention":      {"A longer word before it does not hide the word.", wfv1.NodeFailed, "OOMKilledX then OOMKilled.", wfev1.ReasonOOMKilled, ""},
		"Deadline":           {"The kubelet's words for activeDeadlineSeconds.", wfv1.NodeFailed, "Pod was active on the node longer than the specified deadline", wfev1.ReasonDeadlineExceeded, ""},
		"StepDeadline":       {"Argo's words for a template's timeout.", wfv1.NodeFailed, "Step exceeded its deadline", wfev1.ReasonDeadlineExceeded, ""},
		"Image":              {"A pod that failed before its container.", wfv1.NodeError, "Pod failed before main container starts due to ImagePullBackOff: Back-off", wfev1.ReasonImagePullBackOff, ""},
		"ImageErr":           {"The kubelet's other reason.", wfv1.NodeError, "ErrImagePull: denied", wfev1.ReasonImagePullBackOff, ""},
		"ImageNever":         {"A node that must not pull.", wfv1.NodeError, "ErrImageNeverPull: absent", wfev1.ReasonImagePullBackOff, ""},
		"ImageName":          {"A name that is none.", wfv1.NodeError, "InvalidImageName: Foo", wfev1.ReasonImagePullBackOff, ""},
		"Deleted":            {"Argo's words.", wfv1.NodeError, "pod deleted", wfev1.ReasonPodDeleted, ""},
		"DeletedInARow":      {"Deleted during a start.", wfv1.NodeError, "pod deleted during operation", wfev1.ReasonPodDeleted, ""},
		"Terminated":         {"A pod receives SIGTERM only when it is deleted or evicted.", wfv1.NodeFailed, "main: Error (exit code 143)", wfev1.ReasonPodDeleted, ""},
		"ReportedStopped":    {"The action reports that it was stopped.", wfv1.NodeFailed, `main: Error (exit code 143): {"reason":"ActionFailed","message":"stopped"}`, wfev1.ReasonPodDeleted, "stopped"},
		"OtherCode":          {"Another exit code that begins alike.", wfv1.NodeFailed, "main: Error (exit code 1430)", wfev1.ReasonActionFailed, ""},
		"Evicted":            {"The kubelet evicted the pod.", wfv1.NodeFailed, "The node was low on resource: memory.", wfev1.ReasonPodDeleted, ""},
		"Forbidden":          {"The API server's message.", wfv1.NodeFailed, `main: Error (exit code 1): deployments.apps "x" is forbidden: User`, wfev1.ReasonForbidden, ""},
		"Failed":             {"A container that failed for its own reasons.", wfv1.NodeFailed, "main: Error (exit code 1)", wfev1.ReasonActionFailed, ""},
		"ErrorUnexplained":   {"An Error is Argo's, not the action's.", wfv1.NodeError, "something odd", wfev1.ReasonUnknown, ""},
		"Silence":            {"The message states that there is none.", wfv1.NodeFailed, "", wfev1.ReasonActionFailed, "Argo gave no message; see the pod's log"},
		"ErrorSilence":       {"No message and no container's fault.", wfv1.NodeError, "", wfev1.ReasonUnknown, "Argo gave no message; see the pod's log"},
		"Reported":           {"The action's message is the message.", wfv1.NodeFailed, reported + `{"reason":"Forbidden","message":"may not scale"}`, wfev1.ReasonForbidden, "may not scale"},
		"ReportedDeadline":   {"An action can report that it exceeded a deadline.", wfv1.NodeFailed, reported + `{"reason":"DeadlineExceeded","message":"2 of 5 ready"}`, wfev1.ReasonDeadlineExceeded, "2 of 5 ready"},
		"ReportedAfterwards": {"Text after the JSON is ignored.", wfv1.NodeFailed, reported + `{"reason":"ActionFailed","message":"x"} and more`, wfev1.ReasonActionFailed, "x"},
		"ReportedNotItsOwn":  {"An action cannot report a reason that only the controller finds.", wfv1.NodeFailed, reported + `{"reason":"ApprovalRejected","message":"x"}`, wfev1.ReasonActionFailed, "x"},
		"ReportedNonsense":   {"The set of reasons is closed.", wfv1.NodeFailed, reported + `{"reason":"Boom","message":"OOMKilled"}`, wfev1.ReasonActionFailed, "OOMKilled"},
		"ReportedNothing":    {"An empty message is no message.", wfv1.NodeFailed, reported + `{"reason":"Forbidden"}`, wfev1.ReasonForbidden, reported + `{"reason":"Forbidden"}`},
		"ReportedCutOff":     {"Half a JSON is plain text.", wfv1.NodeFailed, reported + `{"reason":"Forbidden","mess`, wfev1.ReasonActionFailed, ""},
		"JSONElsewhere":      {"JSON that no exit code precedes is not the action's.", wfv1.NodeError, `pod failed: {"reason":"Forbidden","message":"x"}`, wfev1.ReasonUnknown, ""},
		"JSONOfOthers":       {"JSON of another shape is plain text with an action's failure.", wfv1.NodeFailed, reported + `{"reason": 5}`, wfev1.ReasonActionFailed, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wf := newWorkflow(wfv1.WorkflowRunning, pod("a", tc.phase, withMessage(tc.message)))
			step := Steps(pending("a"), wf)[0]
			if tc.text == "" {
				tc.text = tc.message
			}
			if diff := cmp.Diff([]string{string(tc.want), tc.text}, []string{string(step.Reason), step.Message}); diff != "" {
				t.Errorf("%s\nreason and message (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMessagesAreBounded gives each message of a node that ends up in a status a megabyte of characters of two bytes.
func TestMessagesAreBounded(t *testing.T) {
	long := "x" + strings.Repeat("ß", 1<<19)
	nodes := map[string]wfv1.NodeStatus{
		"Pending": pod("a", wfv1.NodePending, withMessage(long)), "Running": pod("a", wfv1.NodeRunning, withMessage(long)),
		"Skipped": node(wfv1.NodeTypeSkipped, "a", wfv1.NodeSkipped, withMessage(long)), "Failed": pod("a", wfv1.NodeFailed, withMessage(long)),
		"Error": pod("a", wfv1.NodeError, withMessage(long)), "Unknown": pod("a", "Paused", withMessage(long)),
		"Reported":     pod("a", wfv1.NodeFailed, withMessage(`main: Error (exit code 1): {"message":"`+long+`"}`)),
		"ReportedBare": pod("a", wfv1.NodeFailed, withMessage(`main: Error (exit code 1): {"x":"`+long+`"}`)),
	}
	for name, node := range nodes {
		for _, phase := range []wfv1.WorkflowPhase{wfv1.WorkflowRunning, wfv1.WorkflowFailed} {
			t.Run(name+"/"+string(phase), func(t *testing.T) {
				wf := newWorkflow(phase, node)
				wf.Status.Message = long
				message := Steps(pending("a"), wf)[0].Message
				if len(message) > maxMessageBytes || len(message) < maxMessageBytes-4 || !utf8.ValidString(message) {
					t.Errorf("want about %d bytes of whole characters, got %d: %q", maxMessageBytes, len(message), message)
				}
			})
		}
	}
	t.Run("PendingThenDeadline", func(t *testing.T) {
		steps := Steps(pending("a"), newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodePending, withMessage("ErrImagePull: "+long))))
		steps = Steps(steps, newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withMessage("Step exceeded its deadline"))))
		if n := len(steps[0].Message); n > maxMessageBytes || !utf8.ValidString(steps[0].Message) {
			t.Errorf("the message has %d bytes", n)
		}
	})
}

func TestTruncate(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		most   int
		want   string
	}{
		"Short":     {"What fits stays.", "abc", 3, "abc"},
		"Empty":     {"Nothing stays nothing.", "", 0, ""},
		"Long":      {"The ellipsis counts.", "abcdefgh", 6, "abc…"},
		"Rune":      {"A character is kept whole or not at all.", "aßßßßß", 7, "aß…"},
		"RuneEmoji": {"The same for four bytes.", "\U0001F600\U0001F600", 6, "…"},
		"Invalid":   {"Bytes that are no characters do not trap the search.", strings.Repeat("\x80", 10), 6, "…"},
		"TooSmall":  {"Where not even the ellipsis fits, nothing is better than a panic.", "abcd", 2, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s\npanic: %v", tc.reason, p)
				}
			}()
			if diff := cmp.Diff(tc.want, Truncate(tc.text, tc.most)); diff != "" {
				t.Errorf("%s\ntext (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestTruncateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, most := rapid.String().Draw(t, "text"), rapid.IntRange(3, 40).Draw(t, "most")
		got := Truncate(text, most)
		if len(got) > most || !utf8.ValidString(got) || len(text) <= most && got != text || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) {
			t.Errorf("Truncate(%q, %d) = %q", text, most, got)
		}
	})
}
