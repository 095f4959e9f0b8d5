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
		prepare    func(*world)
		parameters map[string]string
		stopAfter  time.Duration
		want       result
		replicas   int32
	}{
		"Up": {
			reason:     "the effect is there and undo knows the number before",
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   5,
		},
		"ToZero": {
			reason:     "no replicas are a number like any other",
			parameters: with(five, "replicas", "0"),
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
		},
		"AsAskedAlready": {
			reason:     "nothing is written, and changed says so",
			parameters: with(five, "replicas", "2"),
			want:       result{Outputs: map[string]string{"changed": "false", "previous-replicas": "2"}},
			replicas:   2,
		},
		"CrashedBetweenRecordAndScale": {
			reason: "the attempt that was killed had recorded, but not scaled",
			deployment: paymentAPI(func(d *appsv1.Deployment) {
				d.Annotations = map[string]string{contract.AnnotationLastActions: record("run-1", "the-step", "scale-deployment", `{"replicas":"2"}`)}
			}),
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: []string{"update deployments/scale"}},
			replicas:   5,
		},
		"AnotherRunsRecord": {
			reason: "what another execution found before is not what this one found",
			deployment: paymentAPI(func(d *appsv1.Deployment) {
				d.Annotations = map[string]string{contract.AnnotationLastActions: record("run-0", "the-step", "scale-deployment", `{"replicas":"7"}`)}
			}),
			parameters: five,
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   5,
		},
		"DryRun": {
			reason:     "the outputs say what would change, and nothing does",
			parameters: with(five, "dry-run", "true"),
			want:       result{Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites},
			replicas:   2,
		},
		"PassingErrors": {
			reason:     "an API server that is restarted or a conflict is no failure",
			parameters: five,
			prepare: func(w *world) {
				w.failOnce("get", "deployments", apierrors.NewServiceUnavailable("restarting"))
				w.failOnce("patch", "deployments", apierrors.NewConflict(deployments, "payment-api", errors.New("changed")))
				w.failOnce("update", "deployments", apierrors.NewTooManyRequests("slow down", 1))
			},
			want: result{
				Outputs: map[string]string{"changed": "true", "previous-replicas": "2"},
				Writes:  []string{"patch deployments", "patch deployments", "update deployments/scale", "update deployments/scale"},
			},
			replicas: 5,
		},
		"NotFound": {
			reason:     "a Deployment that is not there cannot be scaled later either",
			parameters: with(five, "deployment", "other"),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: `deployments.apps "other" not found`},
			replicas:   2,
		},
		"ForbiddenToWrite": {
			reason:     "the message names the role to bind",
			parameters: five,
			prepare: func(w *world) {
				w.failAlways("patch", "deployments", apierrors.NewForbidden(deployments, "payment-api", errors.New(`User "s" cannot patch`)))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "bind ClusterRole workflowexecution-action-scale-deployment",
				Writes: []string{"patch deployments"},
			},
			replicas: 2,
		},
		"ForbiddenToWatch": {
			reason:     "a refused watch ends the wait at once",
			parameters: five,
			prepare: func(w *world) {
				w.failAlways("list", "deployments", apierrors.NewForbidden(deployments, "", errors.New(`User "s" cannot list`)))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "cannot list",
				Outputs: map[string]string{"changed": "true", "previous-replicas": "2"}, Writes: bothWrites,
			},
			replicas: 5,
		},
		"InvalidReplicas": {
			reason:     "nothing is asked of the cluster when a value can never work",
			parameters: with(five, "replicas", "-1"),
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: `parameter replicas is "-1"`},
			replicas:   2,
		},
		"MissingDeployment": {
			reason:     "a required parameter has no default",
			parameters: map[string]string{"replicas": "5"},
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: "parameter deployment is required"},
			replicas:   2,
		},
		"NeverAvailable": {
			reason:     "the wait has a bound, and the message says what is missing",
			parameters: with(five, "wait-seconds", "1", "replicas", "2"),
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "not as many as asked after 1s",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"},
			},
			replicas: 2,
		},
		"Unobserved": {
			reason:     "a status of an older generation says nothing, even when its numbers are right",
			parameters: with(five, "wait-seconds", "1", "replicas", "2"),
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Generation++ }),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "not as many as asked",
				Outputs: map[string]string{"changed": "false", "previous-replicas": "2"},
			},
			replicas: 2,
		},
		"Stopped": {
			reason:     "a signal ends the wait with a message, and the outputs are there for the rollback",
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
			w := newWorld(t, c.deployment).rollsOut(settleDeployment)
			if c.prepare != nil {
				c.prepare(w)
			}
			got := w.attempt(run{action: "scale-deployment", parameters: c.parameters, stopAfter: c.stopAfter})
			c.want.check(t, c.reason, got)
			if n := replicasOf(w.deployment().Spec.Replicas); n != c.replicas {
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
			w := newWorld(t, paymentAPI()).rollsOut(settleDeployment)
			first := w.attempt(run{action: "scale-deployment", parameters: parameters})
			result{Outputs: outputs, Writes: []string{"patch deployments", "update deployments/scale"}}.check(t, "first attempt", first)
			if c.between != nil {
				if _, err := w.editDeployment("payment-api", c.between); err != nil {
					t.Fatal(err)
				}
			}
			c.second.action = "scale-deployment"
			if c.second.parameters == nil {
				c.second.parameters = parameters
			}
			c.want.check(t, c.reason, w.attempt(c.second))
		})
	}
}
