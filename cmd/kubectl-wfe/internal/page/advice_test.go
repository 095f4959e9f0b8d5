package page

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func commands(advice []Advice) []string {
	var all []string
	for _, a := range advice {
		if a.Command != "" {
			all = append(all, a.Command)
		}
	}
	return all
}

func TestAdvise(t *testing.T) {
	t.Parallel()
	in := func(phase wfev1.Phase, change func(*wfev1.WorkflowExecution)) *wfev1.WorkflowExecution {
		wfe := &wfev1.WorkflowExecution{}
		wfe.Namespace, wfe.Name, wfe.Status.Phase = "production", "oom", phase
		wfe.Status.Steps = []wfev1.StepStatus{{Name: "drain", Action: "drain-node", PodName: "oom-drain-1"}}
		if change != nil {
			change(wfe)
		}
		return wfe
	}
	failed := func(reason wfev1.FailureReason) func(*wfev1.WorkflowExecution) {
		return func(wfe *wfev1.WorkflowExecution) {
			wfe.Spec.ServiceAccountName = "remediation"
			wfe.Status.Failure = &wfev1.Failure{Step: "drain", Reason: reason}
		}
	}
	for name, test := range map[string]struct {
		reason string
		wfe    *wfev1.WorkflowExecution
		want   []string
	}{
		"Unseen": {"a new execution is pending", in("", nil), []string{
			"kubectl wfe watch --context=prod -n production oom", "kubectl wfe cancel --context=prod -n production oom",
		}},
		"Running": {"the running step's logs", in(wfev1.PhaseRunning, func(wfe *wfev1.WorkflowExecution) {
			wfe.Status.Steps[0].Phase = wfev1.StepRunning
		}), []string{
			"kubectl wfe logs --context=prod -n production oom drain -f",
			"kubectl wfe suspend --context=prod -n production oom", "kubectl wfe cancel --context=prod -n production oom",
		}},
		"AwaitingApproval": {"both decisions, quoted for a shell", in(wfev1.PhaseAwaitingApproval, func(wfe *wfev1.WorkflowExecution) {
			wfe.Status.Steps[0].Phase = wfev1.StepAwaitingApproval
		}), []string{
			"kubectl wfe approve --context=prod -n production oom drain --reason '…'",
			"kubectl wfe reject --context=prod -n production oom drain --reason '…'",
		}},
		"Completed": {"there is nothing to do", in(wfev1.PhaseCompleted, nil), nil},
		"ImagePullBackOff": {"the pod has the cause", in(wfev1.PhaseFailed, failed(wfev1.ReasonImagePullBackOff)), []string{
			"kubectl describe pod --context=prod -n production oom-drain-1", "kubectl wfe retry --context=prod -n production oom",
		}},
		"Forbidden": {"the permissions of the service account", in(wfev1.PhaseFailed, failed(wfev1.ReasonForbidden)), []string{
			"kubectl wfe rbac --context=prod -n production oom --check",
			"kubectl wfe logs --context=prod -n production oom drain", "kubectl wfe retry --context=prod -n production oom",
		}},
		"NotUndone": {"the rollback's logs", in(wfev1.PhaseCancelled, func(wfe *wfev1.WorkflowExecution) {
			wfe.Status.Conditions = []metav1.Condition{{Type: wfev1.ConditionRolledBack, Status: metav1.ConditionFalse}}
			wfe.Status.RollbackSteps = []wfev1.StepStatus{{Name: "drain", PodName: "oom-rollback-1"}}
		}), []string{
			"kubectl wfe logs --context=prod -n production oom --rollback", "kubectl wfe retry --context=prod -n production oom",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, commands(Advise(test.wfe, []string{"--context=prod"}))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

// TestEveryReasonHasAdvice verifies that every failure has advice other than to retry.
func TestEveryReasonHasAdvice(t *testing.T) {
	t.Parallel()
	for _, reason := range wfev1.FailureReasons {
		wfe := load(t, "failed")
		wfe.Status.Failure.Reason = reason
		if advice := Advise(wfe, nil); len(advice) < 2 || !strings.Contains(advice[len(advice)-1].Command, "retry") {
			t.Errorf("%s: %v", reason, advice)
		}
	}
	for _, phase := range wfev1.Phases {
		wfe := load(t, "waiting")
		wfe.Status.Phase = phase
		if advice := Advise(wfe, nil); len(advice) == 0 && phase != wfev1.PhaseCompleted {
			t.Errorf("%s: no advice", phase)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	got := []string{quote("--as=system:serviceaccount:a:b"), quote("a b"), quote("it's"), quote("$(x)"), quote("")}
	if want := []string{"--as=system:serviceaccount:a:b", "'a b'", `'it'\''s'`, "'$(x)'", "''"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
