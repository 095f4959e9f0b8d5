package actions

import (
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

func TestWaitFor(t *testing.T) {
	t.Parallel()
	target := map[string]string{"api-version": "example.com/v1", "kind": "Widget", "name": "w"}
	condition := func(status string, observed int64) func(*unstructured.Unstructured) {
		return func(o *unstructured.Unstructured) {
			o.SetGeneration(2)
			o.Object["status"] = map[string]any{"phase": "Running", "conditions": []any{
				map[string]any{"type": "Ready", "status": status, "message": "so it is", "observedGeneration": observed},
			}}
		}
	}
	cases := map[string]struct {
		reason  string
		expects string
		now     func(*unstructured.Unstructured)
		later   func(*unstructured.Unstructured)
		deleted bool
		more    []string
		want    result
	}{
		"Condition":       {reason: "True is the default", expects: "condition=Ready", now: condition("True", 2), want: result{Outputs: met("true")}},
		"ConditionFalse":  {reason: "any status", expects: "condition=ready=false", now: condition("False", 2), want: result{Outputs: met("true")}},
		"ConditionLater":  {reason: "it waits", expects: "condition=Ready", now: condition("False", 2), later: condition("True", 2), want: result{Outputs: met("true")}},
		"JSONPath":        {reason: "a value", expects: "jsonpath={.status.phase}=Running", now: condition("True", 2), want: result{Outputs: met("true")}},
		"JSONPathExists":  {reason: "any value", expects: "jsonpath={.status.phase}", now: condition("True", 2), want: result{Outputs: met("true")}},
		"JSONPathMissing": {reason: "no value yet", expects: "jsonpath={.status.phase}", want: timedOut("the JSONPath has no value after 1m0s")},
		"Delete":          {reason: "it waits", expects: "delete", deleted: true, want: result{Outputs: met("true")}},
		"Exists":          {reason: "it is not deleted", expects: "delete", want: timedOut("widget w: it exists after 1m0s")},
		"Absent":          {reason: "an object that does not exist may be created", expects: "condition=Ready", more: []string{"name", "other"}, want: timedOut("widget other: it does not exist")},
		"Unmet":           {reason: "the message contains the condition's message", expects: "condition=Ready", now: condition("False", 2), want: timedOut("condition Ready is False, not True: so it is")},
		"Stale":           {reason: "a condition of an older generation is ignored", expects: "condition=Ready", now: condition("True", 1), want: timedOut("has not observed the present generation")},
		"DryRun":          {reason: "a dry run reports and does not fail", expects: "condition=Ready", now: condition("False", 2), more: []string{"dry-run", "true"}, want: result{Outputs: met("false")}},
		"Bad":             {reason: "rejected before any request", expects: "Ready", want: result{Exit: 64, Reason: "InvalidSpec", Message: "must be condition=<type>"}},
		"NoSuchKind":      {reason: "the message names the kind", expects: "delete", more: []string{"kind", "Gadget"}, want: result{Exit: 64, Reason: "ActionFailed", Message: "no kind Gadget"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				client := f.hasWidgets()
				edit := func(change func(*unstructured.Unstructured)) {
					o := widget()
					change(o)
					if err := client.Tracker().Update(widgets, o, namespace); err != nil {
						t.Error(err)
					}
				}
				if c.now != nil {
					edit(c.now)
				}
				f.controllers.Go(func() {
					sleep(20 * time.Second)
					if c.later != nil {
						edit(c.later)
					}
					if c.deleted {
						if err := client.Tracker().Delete(widgets, namespace, "w"); err != nil {
							t.Error(err)
						}
					}
				})
				parameters := with(with(target, "for", encode(c.expects), "wait-seconds", "60"), c.more...)
				c.want.check(t, c.reason, f.attempt(run{action: "wait-for", parameters: parameters}))
			})
		})
	}
}

func met(value string) map[string]string { return map[string]string{"met": value} }

func timedOut(message string) result {
	return result{Exit: 1, Reason: "DeadlineExceeded", Message: message, Outputs: met("false")}
}

func TestDeleteJob(t *testing.T) {
	t.Parallel()
	job := func() *batchv1.Job {
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
			Name: "stuck", Namespace: namespace, UID: "uid-of-stuck", CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
		}}
	}
	target := map[string]string{"job": "stuck", "wait-seconds": "60"}
	changed, unchanged := map[string]string{"changed": "true"}, map[string]string{"changed": "false"}
	writes := []string{"create events", "delete jobs"}
	forged := func(f *fixture) *corev1.Event {
		got := f.attempt(run{action: "delete-job", parameters: with(target, "wait-seconds", "0")})
		events, err := f.kube.Tracker().List(corev1.SchemeGroupVersion.WithResource("events"), corev1.SchemeGroupVersion.WithKind("Event"), namespace)
		if err != nil || got.Exit != 0 || len(events.(*corev1.EventList).Items) != 1 {
			f.t.Fatalf("finding the name of the event: %+v, %v", got, err)
		}
		event := events.(*corev1.EventList).Items[0]
		event.Annotations = map[string]string{annotationPrevious: `{"uid":"another"}`}
		return &event
	}
	for name, c := range map[string]struct {
		reason      string
		parameters  map[string]string
		held        bool
		forged      bool
		want, again result
		remains     bool
	}{
		"Delete":   {reason: "a retry that finds no Job succeeds", parameters: target, want: result{Outputs: changed, Writes: writes}, again: result{Outputs: changed, Writes: []string{"delete jobs"}}},
		"NotFound": {reason: "the message names the Job", parameters: with(target, "job", "other"), want: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`, Outputs: unchanged}, again: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`, Outputs: unchanged}, remains: true},
		"DryRun":   {reason: "nothing is deleted", parameters: with(target, "dry-run", "true"), want: result{Outputs: changed, Writes: writes}, again: result{Outputs: changed, Writes: writes}, remains: true},
		"Held": {
			reason: "the message contains what holds the Job", parameters: target, held: true, remains: true,
			want:  result{Exit: 1, Reason: "DeadlineExceeded", Message: "held by the finalizers [foregroundDeletion]", Outputs: changed, Writes: writes},
			again: result{Exit: 1, Reason: "DeadlineExceeded", Message: "job stuck: it is terminating", Outputs: changed, Writes: []string{"delete jobs"}},
		},
		"HeldWithoutWaiting": {reason: "0 does not wait", parameters: with(target, "wait-seconds", "0"), held: true, remains: true, want: result{Outputs: changed, Writes: writes}, again: result{Outputs: changed, Writes: []string{"delete jobs"}}},
		"Forged":             {reason: "the event of another client prevents nothing", parameters: target, forged: true, want: result{Outputs: changed, Writes: []string{"delete jobs"}}, again: result{Outputs: changed, Writes: []string{"delete jobs"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, job()).replacesPods(false)
				if c.forged {
					f = newFixture(t, job(), forged(f)).replacesPods(false)
				}
				gvr := batchv1.SchemeGroupVersion.WithResource("jobs")
				f.kube.PrependReactor("delete", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
					if !c.held || isDryRun(action) {
						return false, nil, nil
					}
					held := job()
					held.DeletionTimestamp, held.Finalizers = ptr.To(metav1.Now()), []string{"foregroundDeletion"}
					return true, nil, f.kube.Tracker().Update(gvr, held, namespace)
				})
				c.want.check(t, c.reason, f.attempt(run{action: "delete-job", parameters: c.parameters}))
				c.again.check(t, c.reason+", again", f.attempt(run{action: "delete-job", parameters: c.parameters}))
				if _, err := f.kube.Tracker().Get(gvr, namespace, "stuck"); (err == nil) != c.remains {
					t.Errorf("%s: the Job: %v", c.reason, err)
				}
			})
		})
	}
}

func TestSetHPA(t *testing.T) {
	t.Parallel()
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace, UID: "uid-of-web"}}
	hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas = ptr.To[int32](2), 3
	target := map[string]string{"hpa": "web"}
	changed := map[string]string{"changed": "true", "previous-min-replicas": "2", "previous-max-replicas": "3"}
	write := []string{"patch horizontalpodautoscalers"}
	for name, c := range map[string]struct {
		reason      string
		parameters  map[string]string
		want, again result
		least, most int32
	}{
		"Max":     {reason: "the other limit stays", parameters: with(target, "max-replicas", "9"), want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed}, least: 2, most: 9},
		"Both":    {reason: "a retry reports the first limits", parameters: with(target, "min-replicas", "4", "max-replicas", "9"), want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed}, least: 4, most: 9},
		"Same":    {reason: "nothing to change", parameters: with(target, "max-replicas", "3"), want: result{Outputs: with(changed, "changed", "false")}, again: result{Outputs: with(changed, "changed", "false")}, least: 2, most: 3},
		"DryRun":  {reason: "nothing changes", parameters: with(target, "max-replicas", "9", "dry-run", "true"), want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed, Writes: write}, least: 2, most: 3},
		"Nothing": {reason: "a step without any limit is an error", parameters: target, want: result{Exit: 64, Reason: "InvalidSpec", Message: "at least one of"}, again: result{Exit: 64, Reason: "InvalidSpec", Message: "at least one of"}, least: 2, most: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, hpa.DeepCopy())
			limits := func(what string, least, most int32) {
				t.Helper()
				found, err := f.kube.Tracker().Get(autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers"), namespace, "web")
				if err != nil {
					t.Fatal(err)
				}
				if spec := found.(*autoscalingv2.HorizontalPodAutoscaler).Spec; replicasOf(spec.MinReplicas) != least || spec.MaxReplicas != most {
					t.Errorf("%s, %s: %d to %d replicas", c.reason, what, replicasOf(spec.MinReplicas), spec.MaxReplicas)
				}
			}
			c.want.check(t, c.reason, f.attempt(run{action: "set-hpa", parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: "set-hpa", parameters: c.parameters}))
			limits("after the step", c.least, c.most)
			undo := f.attempt(run{action: "set-hpa", workflow: "rollback", parameters: with(target, "min-replicas", "2", "max-replicas", "3")})
			if undo.Exit != 0 {
				t.Fatalf("undo: %+v", undo)
			}
			limits("after undo", 2, 3)
		})
	}
}
