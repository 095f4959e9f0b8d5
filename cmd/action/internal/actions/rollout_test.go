package actions

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// progressing sets the condition of an exceeded progress deadline.
func progressing(at time.Time) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status.UpdatedReplicas, d.Status.ObservedGeneration = 1, d.Generation
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
			LastUpdateTime: metav1.NewTime(at),
		}}
	}
}

func TestRestartDeployment(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-time.Hour)
	target := map[string]string{"deployment": "payment-api"}
	changed := map[string]string{"changed": "true"}
	write := []string{"patch deployments"}
	cases := map[string]struct {
		reason     string
		deployment *appsv1.Deployment
		settle     func(*appsv1.Deployment)
		parameters map[string]string
		want       result
		restarted  bool
	}{
		"Restart": {
			reason: "the pod template is annotated and the step waits for the rollout",
			want:   result{Outputs: changed, Writes: write}, restarted: true,
		},
		"DryRun": {
			reason:     "nothing is annotated",
			parameters: with(target, "dry-run", "true"),
			want:       result{Outputs: changed, Writes: write},
		},
		"Paused": {
			reason:     "a paused Deployment never completes a rollout",
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Spec.Paused = true }),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: "is paused"},
		},
		"OldDeadline": {
			reason:     "a progress deadline that was exceeded earlier does not fail this rollout",
			deployment: paymentAPI(progressing(long)),
			want:       result{Outputs: changed, Writes: write}, restarted: true,
		},
		"NewDeadline": {
			reason: "a rollout that exceeds its progress deadline ends the wait before its bound",
			settle: progressing(time.Now()),
			want: result{
				Exit: 1, Reason: "ActionFailed", Message: "exceeded its progress deadline; see kubectl -n production describe deployment payment-api",
				Outputs: changed, Writes: write,
			},
			restarted: true,
		},
		"NotFound": {
			reason:     "the message names the object",
			parameters: map[string]string{"deployment": "other"},
			want:       result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.deployment == nil {
				c.deployment = paymentAPI()
			}
			if c.settle == nil {
				c.settle = settleDeployment
			}
			if c.parameters == nil {
				c.parameters = target
			}
			f := newFixture(t, c.deployment).rollsOut(c.settle)
			c.want.check(t, c.reason, f.attempt(run{action: "restart-deployment", parameters: c.parameters}))
			_, restarted := f.deployment().Spec.Template.Annotations[annotationRestartedAt]
			if restarted != c.restarted {
				t.Errorf("%s\nrestarted: %v, want %v", c.reason, restarted, c.restarted)
			}
		})
	}
}

func TestRestartDeploymentOncePerStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t, paymentAPI()).rollsOut(settleDeployment)
	stamps := map[string]string{}
	for _, attempt := range []struct{ name, step string }{{"first", "a"}, {"retry of first", "a"}, {"second", "b"}, {"retry of second", "b"}, {"late retry of first", "a"}} {
		got := f.attempt(run{action: "restart-deployment", step: attempt.step, parameters: map[string]string{"deployment": "payment-api"}})
		if got.Exit != 0 {
			t.Fatalf("%s: %+v", attempt.name, got)
		}
		stamps[attempt.name] = f.deployment().Spec.Template.Annotations[annotationRestartedAt]
	}
	if stamps["first"] == "" || stamps["first"] != stamps["retry of first"] {
		t.Errorf("a retry must not restart again: %v", stamps)
	}
	if stamps["second"] == stamps["first"] || stamps["second"] != stamps["retry of second"] || stamps["second"] != stamps["late retry of first"] {
		t.Errorf("another step restarts once more, and only once: %v", stamps)
	}
}

func TestSetResources(t *testing.T) {
	t.Parallel()
	previous := map[string]string{
		"previous-memory-limit": "512Mi", "previous-memory-request": "none", "previous-cpu-limit": "none", "previous-cpu-request": "100m",
	}
	changed, unchanged := with(previous, "changed", "true"), with(previous, "changed", "false")
	target := map[string]string{"deployment": "payment-api"}
	write := []string{"patch deployments"}
	before := corev1.ResourceRequirements{Limits: list("memory", "512Mi"), Requests: list("cpu", "100m")}
	cases := map[string]struct {
		reason     string
		parameters map[string]string
		want       result
		resources  corev1.ResourceRequirements
	}{
		"MemoryLimit": {
			reason:     "one quantity changes and the others stay",
			parameters: with(target, "memory-limit", "2Gi"),
			want:       result{Outputs: changed, Writes: write},
			resources:  corev1.ResourceRequirements{Limits: list("memory", "2Gi"), Requests: list("cpu", "100m")},
		},
		"All": {
			reason:     "all four at once, the container named",
			parameters: with(target, "container", "api", "memory-limit", "2Gi", "memory-request", "1Gi", "cpu-limit", "1", "cpu-request", "250m"),
			want:       result{Outputs: changed, Writes: write},
			resources:  corev1.ResourceRequirements{Limits: list("memory", "2Gi", "cpu", "1"), Requests: list("memory", "1Gi", "cpu", "250m")},
		},
		"Remove": {
			reason:     "none removes a limit, so that a rollback can restore a missing limit",
			parameters: with(target, "memory-limit", "none"),
			want:       result{Outputs: changed, Writes: write},
			resources:  corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: list("cpu", "100m")},
		},
		"SameQuantity": {
			reason:     "an equal quantity in another notation changes nothing",
			parameters: with(target, "memory-limit", "524288Ki", "cpu-limit", "none"),
			want:       result{Outputs: unchanged},
			resources:  before,
		},
		"DryRun": {
			reason:     "the outputs report what would change",
			parameters: with(target, "memory-limit", "2Gi", "dry-run", "true"),
			want:       result{Outputs: changed, Writes: write},
			resources:  before,
		},
		"NothingAsked": {
			reason:     "a step without any quantity is an error",
			parameters: target,
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: "at least one of"},
			resources:  before,
		},
		"BadQuantity": {
			reason:     "rejected before any request to the API server",
			parameters: with(target, "memory-limit", "2 gigs"),
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: `parameter memory-limit is "2 gigs"`},
			resources:  before,
		},
		"UnknownContainer": {
			reason:     "the message lists the containers",
			parameters: with(target, "memory-limit", "2Gi", "container", "sidecar"),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: `deployment payment-api has no container "sidecar"; it has api`},
			resources:  before,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, paymentAPI()).rollsOut(settleDeployment)
			c.want.check(t, c.reason, f.attempt(run{action: "set-resources", parameters: c.parameters}))
			got := f.deployment().Spec.Template.Spec.Containers[0].Resources
			if diff := cmp.Diff(c.resources, got); diff != "" {
				t.Errorf("%s\nresources (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestSetResourcesTwiceAndUndo(t *testing.T) {
	t.Parallel()
	f := newFixture(t, paymentAPI()).rollsOut(settleDeployment)
	parameters := map[string]string{"deployment": "payment-api", "memory-limit": "2Gi", "cpu-limit": "1"}
	first := f.attempt(run{action: "set-resources", parameters: parameters})
	again := f.attempt(run{action: "set-resources", parameters: parameters})
	result{Outputs: first.Outputs}.check(t, "a retry reports the same and writes nothing", again)
	undo := map[string]string{"deployment": "payment-api"}
	for _, f := range resourceFields {
		undo[f.name] = first.Outputs["previous-"+f.name]
	}
	if got := f.attempt(run{action: "set-resources", workflow: "rollback", parameters: undo}); got.Exit != 0 {
		t.Fatalf("undo: %+v", got)
	}
	want := paymentAPI().Spec.Template.Spec.Containers[0].Resources
	if diff := cmp.Diff(want, f.deployment().Spec.Template.Spec.Containers[0].Resources); diff != "" {
		t.Errorf("the rollback restores the previous state (-want +got):\n%s", diff)
	}
}

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i+1 < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func TestVerifyDeployment(t *testing.T) {
	t.Parallel()
	target := map[string]string{"deployment": "payment-api"}
	healthy := map[string]string{"healthy": "true", "desired-replicas": "2", "available-replicas": "2"}
	unhealthy := map[string]string{"healthy": "false", "desired-replicas": "2", "available-replicas": "1"}
	oneShort := func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }
	cases := map[string]struct {
		reason     string
		deployment *appsv1.Deployment
		changes    []func(*appsv1.Deployment)
		parameters map[string]string
		want       result
	}{
		"Healthy":  {reason: "a healthy Deployment needs no wait", want: result{Outputs: healthy}},
		"Recovers": {reason: "it waits", deployment: paymentAPI(oneShort), changes: []func(*appsv1.Deployment){settleDeployment}, want: result{Outputs: healthy}},
		"StaysSick": {
			reason: "it fails at its bound and the message contains what is missing", deployment: paymentAPI(oneShort),
			parameters: with(target, "wait-seconds", "1"),
			want:       result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 2 updated replicas are available after 1s", Outputs: unhealthy},
		},
		"Unobserved": {
			reason:     "a status of an older generation is ignored",
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Generation = 2 }), parameters: with(target, "wait-seconds", "1"),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "spec update to be observed",
				Outputs: with(healthy, "healthy", "false"),
			},
		},
		"StaysHealthy": {
			reason: "it watches for stable-seconds", parameters: with(target, "stable-seconds", "1"),
			want: result{Outputs: healthy},
		},
		"Flaps": {
			reason: "a Deployment that does not stay healthy fails the step", parameters: with(target, "stable-seconds", "1", "wait-seconds", "1"),
			changes: []func(*appsv1.Deployment){oneShort},
			want:    result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 2 updated replicas", Outputs: unhealthy},
		},
		"DryRun": {
			reason: "earlier steps have changed nothing, so the health is reported and no failure", deployment: paymentAPI(oneShort),
			parameters: with(target, "dry-run", "true"), want: result{Outputs: unhealthy},
		},
		"NotFound": {
			reason: "the message names the object", parameters: map[string]string{"deployment": "other"},
			want: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.deployment == nil {
				c.deployment = paymentAPI()
			}
			if c.parameters == nil {
				c.parameters = target
			}
			f := newFixture(t, c.deployment)
			f.controllers.Go(func() {
				for _, edit := range c.changes {
					sleep(300 * time.Millisecond)
					if _, err := f.editDeployment("payment-api", edit); err != nil {
						t.Error(err)
					}
				}
			})
			c.want.check(t, c.reason, f.attempt(run{action: "verify-deployment", parameters: c.parameters}))
		})
	}
}
