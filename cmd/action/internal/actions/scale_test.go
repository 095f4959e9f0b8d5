package actions

import (
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func TestScaleDeployment(t *testing.T) {
	t.Parallel()
	five := map[string]string{"deployment": "payment-api", "replicas": "5"}
	bothWrites := []string{"patch deployments", "update deployments/scale"}
	deployments := groupResource("apps", "deployments")
	cases := map[string]struct {
		reason     string
		deployment *appsv1.Deployment
		prepare    func(*fixture)
		parameters map[string]string
		stopAfter  time.Duration
		want       result
		replicas   int32
	}{
		"Up": {
			reason:     "the effect is reached and the outputs contain the previous number",
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   5,
		},
		"ToZero": {
			reason:     "0 is a valid number of replicas",
			parameters: with(five, "replicas", "0"),
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
		},
		"AsAskedAlready": {
			reason:     "nothing is written, and changed is false",
			parameters: with(five, "replicas", "2"),
			want:       result{Outputs: map[string]string{"changed": "false", "previous-replicas": "2"}},
			replicas:   2,
		},
		"CrashedBetweenRecordAndScale": {
			reason: "the killed attempt had recorded, but not scaled",
			deployment: paymentAPI(func(d *appsv1.Deployment) {
				d.Annotations = map[string]string{contract.AnnotationLastActions: record("run-1", "the-step", "scale-deployment", `{"replicas":"2"}`)}
			}),
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: []string{"update deployments/scale"}},
			replicas:   5,
		},
		"AnotherRunsRecord": {
			reason: "the record of another execution is not the previous state of this one",
			deployment: paymentAPI(func(d *appsv1.Deployment) {
				d.Annotations = map[string]string{contract.AnnotationLastActions: record("run-0", "the-step", "scale-deployment", `{"replicas":"7"}`)}
			}),
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   5,
		},
		"DryRun": {
			reason:     "the outputs report what would change, and nothing changes",
			parameters: with(five, "dry-run", "true"),
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   2,
		},
		"PassingErrors": {
			reason:     "transient errors and conflicts are retried",
			parameters: five,
			prepare: func(f *fixture) {
				f.failOnce("get", "deployments", apierrors.NewServiceUnavailable("restarting"))
				f.failOnce("patch", "deployments", apierrors.NewConflict(deployments, "payment-api", errors.New("changed")))
				f.failOnce("update", "deployments", apierrors.NewTooManyRequests("slow down", 1))
			},
			want: result{
				Outputs: map[string]string{"changed": "true", "previous-replicas": "2"},
				Writes:  []string{"patch deployments", "patch deployments", "update deployments/scale", "update deployments/scale"},
			},
			replicas: 5,
		},
		"NotFound": {
			reason:     "a missing Deployment is a permanent error",
			parameters: with(five, "deployment", "other"),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: `deployments.apps "other" not found`},
			replicas:   2,
		},
		"ForbiddenToWrite": {
			reason:     "the message names the role to bind",
			parameters: five,
			prepare: func(f *fixture) {
				f.failAlways("patch", "deployments", apierrors.NewForbidden(deployments, "payment-api", errors.New(`User "s" cannot patch`)))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "bind ClusterRole workflowexecution-action-scale-deployment",
				Writes: []string{"patch deployments"},
			},
			replicas: 2,
		},
		"ForbiddenToScale": {
			reason:     "the record alone is not a change",
			parameters: five,
			prepare: func(f *fixture) {
				f.failAlways("update", "deployments", apierrors.NewForbidden(deployments, "payment-api", errors.New(`User "s" cannot update`)))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "cannot update",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"}, Writes: bothWrites,
			},
			replicas: 2,
		},
		"ForbiddenToWatch": {
			reason:     "a forbidden watch ends the wait immediately",
			parameters: five,
			prepare: func(f *fixture) {
				f.failAlways("list", "deployments", apierrors.NewForbidden(deployments, "", errors.New(`User "s" cannot list`)))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "cannot list",
				Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites,
			},
			replicas: 5,
		},
		"InvalidReplicas": {
			reason:     "no request is sent if a value can never work",
			parameters: with(five, "replicas", "-1"),
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: `parameter replicas is "-1"`},
			replicas:   2,
		},
		"MissingDeployment": {
			reason:     "a required parameter must be set",
			parameters: map[string]string{"replicas": "5"},
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: "parameter deployment is required"},
			replicas:   2,
		},
		"NeverAvailable": {
			reason:     "the wait has a bound, and the message contains what is missing",
			parameters: with(five, "wait-seconds", "1", "replicas", "2"),
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 2 replicas are available after 1s",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"},
			},
			replicas: 2,
		},
		"Unobserved": {
			reason:     "a status of an older generation is ignored, even if its numbers are right",
			parameters: with(five, "wait-seconds", "1", "replicas", "2"),
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Generation++ }),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "its controller has not observed the change",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"},
			},
			replicas: 2,
		},
		"Stopped": {
			reason:     "a signal ends the wait with a message, and the outputs exist for the rollback",
			parameters: with(five, "replicas", "2"),
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }),
			stopAfter:  300 * time.Millisecond,
			want: result{
				Exit: 143, Reason: "ActionFailed", Message: "stopped",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"},
			},
			replicas: 2,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.deployment == nil {
				c.deployment = paymentAPI()
			}
			f := newFixture(t, c.deployment).rollsOut(settleDeployment)
			if c.prepare != nil {
				c.prepare(f)
			}
			got := f.attempt(run{action: "scale-deployment", parameters: c.parameters, stopAfter: c.stopAfter})
			c.want.check(t, c.reason, got)
			if n := replicasOf(f.deployment().Spec.Replicas); n != c.replicas {
				t.Errorf("%s\nthe Deployment has %d replicas, want %d", c.reason, n, c.replicas)
			}
		})
	}
}

func TestScaleDeploymentTwice(t *testing.T) {
	t.Parallel()
	parameters := map[string]string{"deployment": "payment-api", "replicas": "5"}
	outputs := map[string]string{"changed": "true", "previous-replicas": "2"}
	cases := map[string]struct {
		reason  string
		second  run
		between func(*appsv1.Deployment)
		want    result
	}{
		"SameStep": {
			reason: "a retry reports the number before the first attempt, and writes nothing",
			want:   result{Outputs: outputs},
		},
		"SameStepAfterAnAutoscaler": {
			reason:  "a retry scales again, and still reports the number before the first attempt",
			between: func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](3) },
			want:    result{Outputs: outputs, Writes: []string{"update deployments/scale"}},
		},
		"AnotherStep": {
			reason: "another step of the same run found 5 and changed nothing",
			second: run{step: "another"},
			want:   result{Outputs: map[string]string{"changed": "false", "previous-replicas": "5"}},
		},
		"AnotherRun": {
			reason: "the rollback and other executions are other runs",
			second: run{workflow: "run-2", parameters: with(parameters, "replicas", "2")},
			want: result{
				Outputs: map[string]string{"changed": "true", "previous-replicas": "5"},
				Writes:  []string{"patch deployments", "update deployments/scale"},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, paymentAPI()).rollsOut(settleDeployment)
			first := f.attempt(run{action: "scale-deployment", parameters: parameters})
			result{Outputs: outputs, Writes: []string{"patch deployments", "update deployments/scale"}}.check(t, "first attempt", first)
			if c.between != nil {
				if _, err := f.editDeployment("payment-api", c.between); err != nil {
					t.Fatal(err)
				}
			}
			c.second.action = "scale-deployment"
			if c.second.parameters == nil {
				c.second.parameters = parameters
			}
			c.want.check(t, c.reason, f.attempt(c.second))
		})
	}
}
