package translate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestInvalidErrorText(t *testing.T) {
	problems := func(n int) []Problem {
		var list []Problem
		for i := range n {
			list = append(list, invalidf(fmt.Sprintf("s%d", i), "action", "wrong"))
		}
		return list
	}
	cases := map[string]struct {
		reason   string
		problems []Problem
		want     string
	}{
		"OfAStep": {
			reason:   "A problem of a step names the step and the field below it.",
			problems: []Problem{invalidf("scale", "parameters[replicas]", "%d is too much", 7)},
			want:     `step "scale": parameters[replicas]: 7 is too much`,
		},
		"OfTheSpec": {
			reason:   "A problem of no step names the field below spec.",
			problems: []Problem{invalidf("", "steps", "there are none")},
			want:     "spec.steps: there are none",
		},
		"OfTheMetadata": {
			reason:   "The name is not below spec, and the message must not send the reader there.",
			problems: checkName("fix-rollback"),
			want:     `metadata.name: "fix-rollback" ends in -rollback, which is reserved for the rollback's Workflow`,
		},
		"Five": {
			reason:   "Five problems are spelt out.",
			problems: problems(5),
			want:     `step "s0": action: wrong; step "s1": action: wrong; step "s2": action: wrong; step "s3": action: wrong; step "s4": action: wrong`,
		},
		"Seven": {
			reason:   "The others are counted, so that the text fits a condition.",
			problems: problems(7),
			want:     `step "s0": action: wrong; step "s1": action: wrong; step "s2": action: wrong; step "s3": action: wrong; step "s4": action: wrong; and 2 more`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := &InvalidError{Problems: tc.problems}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("%s\ntext (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.problems[0], err.First()); diff != "" {
				t.Errorf("%s\nfirst (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestActions(t *testing.T) {
	spec := newExecution(
		newStep("a", runs("scale"), undoneBy("unscale")), newStep("b", asApproval("")), newStep("c", runs("unscale")),
		newStep("d", runs("restart"), undoneBy("scale")), newStep("e", runs("scale")),
	).Spec
	want := []string{"scale", "unscale", "restart"}
	if diff := cmp.Diff(want, Actions(&spec)); diff != "" {
		t.Errorf("each action once, in order of first use (-want +got):\n%s", diff)
	}
	if got := Actions(&wfev1.WorkflowExecutionSpec{}); got != nil {
		t.Errorf("no steps have no actions, got %v", got)
	}
}
