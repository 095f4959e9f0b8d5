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

// progressing makes a Deployment say that it exceeded its progress deadline at a time.
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
			reason: "the template of the pods is stamped and the rollout awaited",
			want:   result{Outputs: changed, Writes: write}, restarted: true,
		},
		"DryRun": {
			reason:     "nothing is stamped",
			parameters: with(target, "dry-run", "true"),
			want:       result{Outputs: changed, Writes: write},
		},
		"Paused": {
			reason:     "a paused Deployment would wait for ever",
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Spec.Paused = true }),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: "is paused"},
		},
		"OldDeadline": {
			reason:     "a rollout that was stuck before says nothing about this one",
			deployment: paymentAPI(progressing(long)),
			want:       result{Outputs: changed, Writes: write}, restarted: true,
		},
		"NewDeadline": {
			reason: "a rollout that gets stuck ends the wait before its bound",
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
			w := newWorld(t, c.deployment).rollsOut(c.settle)
			c.want.check(t, c.reason, w.attempt(run{action: "restart-deployment", parameters: c.parameters}))
			_, restarted := w.deployment().Spec.Template.Annotations[annotationRestartedAt]
			if restarted != c.restarted {
				t.Errorf("%s\nrestarted: %v, want %v", c.reason, restarted, c.restarted)
			}
		})
	}
}

func TestRestartDeploymentOncePerStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, paymentAPI()).rollsOut(settleDeployment)
	stamps := map[string]string{}
	for _, attempt := range []struct{ name, step string }{{"first", "a"}, {"retry of first", "a"}, {"second", "b"}, {"retry of second", "b"}, {"late retry of first", "a"}} {
		got := w.attempt(run{action: "restart-deployment", step: attempt.step, parameters: map[string]string{"deployment": "payment-api"}})
		if got.Exit != 0 {
			t.Fatalf("%s: %+v", attempt.name, got)
		}
		stamps[attempt.name] = w.deployment().Spec.Template.Annotations[annotationRestartedAt]
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
			reason:     "one number is changed and the others are kept",
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
			reason:     "none removes a limit, which is how undo restores that there was none",
			parameters: with(target, "memory-limit", "none"),
			want:       result{Outputs: changed, Writes: write},
			resources:  corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: list("cpu", "100m")},
		},
		"SameQuantity": {
			reason:     "another way to write the same number changes nothing",
			parameters: with(target, "memory-limit", "524288Ki", "cpu-limit", "none"),
			want:       result{Outputs: unchanged},
			resources:  before,
		},
		"DryRun": {
			reason:     "the outputs say what would change",
			parameters: with(target, "memory-limit", "2Gi", "dry-run", "true"),
			want:       result{Outputs: changed, Writes: write},
			resources:  before,
		},
		"NothingAsked": {
			reason:     "a step without any number is a mistake",
			parameters: target,
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: "at least one of"},
			resources:  before,
		},
		"BadQuantity": {
			reason:     "found before anything is asked of the cluster",
			parameters: with(target, "memory-limit", "2 gigs"),
			want:       result{Exit: 64, Reason: "InvalidSpec", Message: `parameter memory-limit is "2 gigs"`},
			resources:  before,
		},
		"UnknownContainer": {
			reason:     "the message lists the containers there are",
			parameters: with(target, "memory-limit", "2Gi", "container", "sidecar"),
			want:       result{Exit: 64, Reason: "ActionFailed", Message: `deployment payment-api has no container "sidecar"; it has api`},
			resources:  before,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, paymentAPI()).rollsOut(settleDeployment)
			c.want.check(t, c.reason, w.attempt(run{action: "set-resources", parameters: c.parameters}))
			got := w.deployment().Spec.Template.Spec.Containers[0].Resources
			if diff := cmp.Diff(c.resources, got); diff != "" {
				t.Errorf("%s\nresources (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestSetResourcesTwiceAndUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, paymentAPI()).rollsOut(settleDeployment)
	parameters := map[string]string{"deployment": "payment-api", "memory-limit": "2Gi", "cpu-limit": "1"}
	first := w.attempt(run{action: "set-resources", parameters: parameters})
	again := w.attempt(run{action: "set-resources", parameters: parameters})
	result{Outputs: first.Outputs}.check(t, "a retry reports the same and writes nothing", again)
	undo := map[string]string{"deployment": "payment-api"}
	for _, f := range resourceFields {
		undo[f.name] = first.Outputs["previous-"+f.name]
	}
	if got := w.attempt(run{action: "set-resources", workflow: "rollback", parameters: undo}); got.Exit != 0 {
		t.Fatalf("undo: %+v", got)
	}
	want := paymentAPI().Spec.Template.Spec.Containers[0].Resources
	if diff := cmp.Diff(want, w.deployment().Spec.Template.Spec.Containers[0].Resources); diff != "" {
		t.Errorf("undo restores what was there (-want +got):\n%s", diff)
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
	sick := map[string]string{"healthy": "false", "desired-replicas": "2", "available-replicas": "1"}
	oneShort := func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }
	cases := map[string]struct {
		reason     string
		deployment *appsv1.Deployment
		changes    []func(*appsv1.Deployment)
		parameters map[string]string
		want       result
	}{
		"Healthy":  {reason: "what is true needs no wait", want: result{Outputs: healthy}},
		"Recovers": {reason: "it waits", deployment: paymentAPI(oneShort), changes: []func(*appsv1.Deployment){settleDeployment}, want: result{Outputs: healthy}},
		"StaysSick": {
			reason: "it gives up at its bound and says what is missing", deployment: paymentAPI(oneShort),
			parameters: with(target, "wait-seconds", "1"),
			want:       result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 2 updated replicas are available after 1s", Outputs: sick},
		},
		"Unobserved": {
			reason:     "a status of an older generation says nothing",
			deployment: paymentAPI(func(d *appsv1.Deployment) { d.Generation = 2 }), parameters: with(target, "wait-seconds", "1"),
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "spec update to be observed",
				Outputs: with(healthy, "healthy", "false"),
			},
		},
		"StaysHealthy": {
			reason: "it watches for the time asked", parameters: with(target, "stable-seconds", "1"),
			want: result{Outputs: healthy},
		},
		"Flaps": {
			reason: "what does not stay healthy is not healthy", parameters: with(target, "stable-seconds", "1", "wait-seconds", "1"),
			changes: []func(*appsv1.Deployment){oneShort},
			want:    result{Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 2 updated replicas", Outputs: sick},
		},
		"DryRun": {
			reason: "the steps before have changed nothing, so its health is reported, not judged", deployment: paymentAPI(oneShort),
			parameters: with(target, "dry-run", "true"), want: result{Outputs: sick},
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
			w := newWorld(t, c.deployment)
			w.controllers.Go(func() {
				for _, edit := range c.changes {
					pass(300 * time.Millisecond)
					if _, err := w.editDeployment("payment-api", edit); err != nil {
						t.Error(err)
					}
				}
			})
			c.want.check(t, c.reason, w.attempt(run{action: "verify-deployment", parameters: c.parameters}))
		})
	}
}
