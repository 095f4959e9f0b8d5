package actions

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// settles makes every write to a kind of workload complete at once; scale sets the number of replicas of an object.
func (f *fixture) settles(resource string, settle func(runtime.Object), scale func(runtime.Object, int32)) *fixture {
	apply := clienttesting.ObjectReaction(f.kube.Tracker())
	gvr := appsv1.SchemeGroupVersion.WithResource(resource)
	f.kube.PrependReactor("*", resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) || !isWrite(action) {
			return false, nil, nil
		}
		var written runtime.Object
		var err error
		answer := func(o runtime.Object) runtime.Object { return o }
		if update, ok := action.(clienttesting.UpdateActionImpl); ok && update.GetSubresource() == "scale" {
			s := update.Object.(*autoscalingv1.Scale)
			written, err = f.kube.Tracker().Get(gvr, namespace, s.Name)
			answer = func(o runtime.Object) runtime.Object { scale(o, s.Spec.Replicas); return s }
		} else {
			_, written, err = apply(action)
		}
		if err != nil {
			return true, nil, err
		}
		written = written.DeepCopyObject()
		reply := answer(written)
		settle(written)
		return true, reply, f.kube.Tracker().Update(gvr, written, namespace)
	})
	return f
}

func objectMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "uid-of-workload", Generation: 1}
}

func ledger(strategy appsv1.StatefulSetUpdateStrategyType) *appsv1.StatefulSet {
	o := &appsv1.StatefulSet{ObjectMeta: objectMeta("ledger")}
	o.Spec.Replicas, o.Spec.UpdateStrategy.Type = ptr.To[int32](3), strategy
	settleStatefulSet(o)
	return o
}

func settleStatefulSet(object runtime.Object) {
	o := object.(*appsv1.StatefulSet)
	o.Generation++
	n := replicasOf(o.Spec.Replicas)
	o.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: o.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n, UpdatedReplicas: n,
	}
}

func agent(strategy appsv1.DaemonSetUpdateStrategyType) *appsv1.DaemonSet {
	o := &appsv1.DaemonSet{ObjectMeta: objectMeta("agent")}
	o.Spec.UpdateStrategy.Type = strategy
	settleDaemonSet(o)
	return o
}

func settleDaemonSet(object runtime.Object) {
	o := object.(*appsv1.DaemonSet)
	o.Generation++
	o.Status = appsv1.DaemonSetStatus{
		ObservedGeneration: o.Generation, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2, NumberReady: 2,
	}
}

func TestStatefulSetsAndDaemonSets(t *testing.T) {
	t.Parallel()
	changed := map[string]string{"changed": "true"}
	cases := map[string]struct {
		reason string
		object runtime.Object
		run    run
		want   result
		again  result
	}{
		"ScaleStatefulSet": {
			reason: "scaled through the subresource, and the outputs contain the previous number",
			object: ledger(appsv1.RollingUpdateStatefulSetStrategyType),
			run:    run{action: "scale-statefulset", parameters: map[string]string{"statefulset": "ledger", "replicas": "1"}},
			want: result{
				Outputs: with(changed, "previous-replicas", "3"), Writes: []string{"patch statefulsets", "update statefulsets/scale"},
			},
			again: result{Outputs: with(changed, "previous-replicas", "3")},
		},
		"ScaleStatefulSetDryRun": {
			reason: "nothing changes",
			object: ledger(appsv1.RollingUpdateStatefulSetStrategyType),
			run:    run{action: "scale-statefulset", parameters: map[string]string{"statefulset": "ledger", "replicas": "1", "dry-run": "true"}},
			want: result{
				Outputs: with(changed, "previous-replicas", "3"), Writes: []string{"patch statefulsets", "update statefulsets/scale"},
			},
			again: result{
				Outputs: with(changed, "previous-replicas", "3"), Writes: []string{"patch statefulsets", "update statefulsets/scale"},
			},
		},
		"ScaleStatefulSetUnobserved": {
			reason: "a status of an older generation is ignored",
			object: func() runtime.Object {
				o := ledger(appsv1.RollingUpdateStatefulSetStrategyType)
				o.Generation++
				return o
			}(),
			run: run{action: "scale-statefulset", parameters: map[string]string{"statefulset": "ledger", "replicas": "3", "wait-seconds": "1"}},
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "has not observed the change", Outputs: map[string]string{"changed": "false", "previous-replicas": "3"},
			},
			again: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "has not observed the change", Outputs: map[string]string{"changed": "false", "previous-replicas": "3"},
			},
		},
		"RestartStatefulSet": {
			reason: "annotated once",
			object: ledger(appsv1.RollingUpdateStatefulSetStrategyType),
			run:    run{action: "restart-statefulset", parameters: map[string]string{"statefulset": "ledger"}},
			want:   result{Outputs: changed, Writes: []string{"patch statefulsets"}},
			again:  result{Outputs: changed},
		},
		"RestartStatefulSetOnDelete": {
			reason: "the rollout never completes, and the message names the alternative",
			object: ledger(appsv1.OnDeleteStatefulSetStrategyType),
			run:    run{action: "restart-statefulset", parameters: map[string]string{"statefulset": "ledger"}},
			want:   result{Exit: 64, Reason: "ActionFailed", Message: "use restart-pod"},
			again:  result{Exit: 64, Reason: "ActionFailed", Message: "use restart-pod"},
		},
		"RestartDaemonSet": {
			reason: "annotated once",
			object: agent(appsv1.RollingUpdateDaemonSetStrategyType),
			run:    run{action: "restart-daemonset", parameters: map[string]string{"daemonset": "agent"}},
			want:   result{Outputs: changed, Writes: []string{"patch daemonsets"}},
			again:  result{Outputs: changed},
		},
		"RestartDaemonSetOnDelete": {
			reason: "the rollout never completes",
			object: agent(appsv1.OnDeleteDaemonSetStrategyType),
			run:    run{action: "restart-daemonset", parameters: map[string]string{"daemonset": "agent"}},
			want:   result{Exit: 64, Reason: "ActionFailed", Message: "OnDelete"},
			again:  result{Exit: 64, Reason: "ActionFailed", Message: "OnDelete"},
		},
		"NotFound": {
			reason: "the message names the object",
			object: agent(appsv1.RollingUpdateDaemonSetStrategyType),
			run:    run{action: "restart-daemonset", parameters: map[string]string{"daemonset": "other"}},
			want:   result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
			again:  result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.object)
			f.settles("daemonsets", settleDaemonSet, nil)
			f.settles("statefulsets", settleStatefulSet, func(o runtime.Object, n int32) { o.(*appsv1.StatefulSet).Spec.Replicas = &n })
			c.want.check(t, c.reason, f.attempt(c.run))
			c.again.check(t, c.reason+", again", f.attempt(c.run))
		})
	}
}

func TestUpdateImage(t *testing.T) {
	t.Parallel()
	const before, after = "registry.example/payment-api:1.0", "registry.example/payment-api:1.1"
	target := map[string]string{"deployment": "payment-api", "image": after}
	changed := map[string]string{"changed": "true", "previous-image": before}
	write := []string{"patch deployments"}
	cases := map[string]struct {
		reason      string
		parameters  map[string]string
		want, again result
		image       string
	}{
		"Update": {
			reason: "a retry reports the first image", parameters: target, image: after,
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed},
		},
		"Same": {
			reason: "nothing to change", parameters: with(target, "image", before), image: before,
			want: result{Outputs: with(changed, "changed", "false")}, again: result{Outputs: with(changed, "changed", "false")},
		},
		"DryRun": {
			reason: "nothing changes", parameters: with(target, "dry-run", "true"), image: before,
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed, Writes: write},
		},
		"NoImage": {
			reason: "a URL is not an image", parameters: with(target, "image", "https://registry.example/x"), image: before,
			want:  result{Exit: 64, Reason: "InvalidSpec", Message: "parameter image"},
			again: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter image"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, paymentAPI()).rollsOut(settleDeployment)
			c.want.check(t, c.reason, f.attempt(run{action: "update-image", parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: "update-image", parameters: c.parameters}))
			if got := f.deployment().Spec.Template.Spec.Containers[0].Image; got != c.image {
				t.Errorf("%s\nimage %s, want %s", c.reason, got, c.image)
			}
		})
	}
}

func TestSetEnv(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	withEnv := func(env ...corev1.EnvVar) *appsv1.Deployment {
		return paymentAPI(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = env })
	}
	other := corev1.EnvVar{Name: "OTHER", Value: "kept"}
	old, odd := corev1.EnvVar{Name: "LEVEL", Value: "info"}, corev1.EnvVar{Name: "LEVEL", Value: "de\"bug{{x}} $(y)"}
	secret := corev1.EnvVar{Name: "LEVEL", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}
	target := map[string]string{"deployment": "payment-api", "name": "LEVEL", "value": encode(odd.Value)}
	write := []string{"patch deployments"}
	cases := map[string]struct {
		reason     string
		deployment *appsv1.Deployment
		parameters map[string]string
		want       result
		env        []corev1.EnvVar
	}{
		"Add": {
			reason: "any text is a value", deployment: withEnv(other), parameters: target, env: []corev1.EnvVar{odd, other},
			want: result{Outputs: map[string]string{"changed": "true", "previous-value": "", "previous-absent": "true"}, Writes: write},
		},
		"Replace": {
			reason: "the outputs contain the previous value", deployment: withEnv(other, old), parameters: target, env: []corev1.EnvVar{odd, other},
			want: result{Outputs: map[string]string{"changed": "true", "previous-value": encode("info"), "previous-absent": "false"}, Writes: write},
		},
		"Remove": {
			reason: "the others stay", deployment: withEnv(other, old), parameters: with(target, "remove", "true"), env: []corev1.EnvVar{other},
			want: result{Outputs: map[string]string{"changed": "true", "previous-value": encode("info"), "previous-absent": "false"}, Writes: write},
		},
		"RemoveAbsent": {
			reason: "nothing to change", deployment: withEnv(other), parameters: with(target, "remove", "true"), env: []corev1.EnvVar{other},
			want: result{Outputs: map[string]string{"changed": "false", "previous-value": "", "previous-absent": "true"}},
		},
		"FromAField": {
			reason: "a variable that a rollback could not restore is not changed", deployment: withEnv(secret), parameters: target, env: []corev1.EnvVar{secret},
			want: result{Exit: 64, Reason: "ActionFailed", Message: "change its source instead"},
		},
		"NoName": {
			reason: "rejected before any request to the API server", deployment: withEnv(other), parameters: with(target, "name", "A=B"), env: []corev1.EnvVar{other},
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter name"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.deployment).rollsOut(settleDeployment)
			c.want.check(t, c.reason, f.attempt(run{action: "set-env", parameters: c.parameters}))
			sorted := cmpopts.SortSlices(func(a, b corev1.EnvVar) bool { return a.Name < b.Name })
			if diff := cmp.Diff(c.env, f.deployment().Spec.Template.Spec.Containers[0].Env, sorted); diff != "" {
				t.Errorf("%s\nvariables (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// revisions are a Deployment at revision 3 and the ReplicaSets of its history.
func revisions() []runtime.Object {
	now := paymentAPI(func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "3"}
		d.Spec.Template.Spec.Containers[0].Image = "registry.example/payment-api:3"
		d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "NEW", Value: "in 3"}}
	})
	objects := []runtime.Object{now}
	for _, revision := range []string{"1", "2", "3"} {
		template := now.Spec.Template.DeepCopy()
		template.Labels["pod-template-hash"] = "hash" + revision
		template.Spec.Containers[0].Image = "registry.example/payment-api:" + revision
		if revision != "3" {
			template.Spec.Containers[0].Env = nil
		}
		annotations := map[string]string{"deployment.kubernetes.io/revision": revision, "kubernetes.io/change-cause": "release " + revision}
		if revision == "2" {
			annotations["deployment.kubernetes.io/revision-history"] = "6,7"
		}
		objects = append(objects, &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: "payment-api-" + revision, Namespace: namespace, Labels: template.Labels, Annotations: annotations,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(now, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
			},
			Spec: appsv1.ReplicaSetSpec{Template: *template, Selector: now.Spec.Selector},
		})
	}
	return objects
}

func TestRollbackDeployment(t *testing.T) {
	t.Parallel()
	target := map[string]string{"deployment": "payment-api"}
	changed := map[string]string{"changed": "true", "previous-revision": "3", "target-revision": "2"}
	toFirst := with(changed, "target-revision", "1")
	unchanged := with(changed, "changed", "false", "target-revision", "3")
	write := []string{"patch deployments"}
	cases := map[string]struct {
		reason      string
		parameters  map[string]string
		want, again result
		image       string
	}{
		"TheOneBefore": {
			reason: "a retry must not roll back a second time", parameters: target, image: "registry.example/payment-api:2",
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed},
		},
		"Revision": {
			reason: "to a revision by its number", parameters: with(target, "revision", "1"), image: "registry.example/payment-api:1",
			want: result{Outputs: toFirst, Writes: write}, again: result{Outputs: toFirst},
		},
		"FormerNumber": {
			reason: "revision 2 was revision 7 before a rollback renumbered it", parameters: with(target, "revision", "7"),
			image: "registry.example/payment-api:2", want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed},
		},
		"PresentRevision": {
			reason: "nothing to change", parameters: with(target, "revision", "3"), image: "registry.example/payment-api:3",
			want: result{Outputs: unchanged}, again: result{Outputs: unchanged},
		},
		"DryRun": {
			reason: "nothing changes", parameters: with(target, "dry-run", "true"), image: "registry.example/payment-api:3",
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed, Writes: write},
		},
		"UnknownRevision": {
			reason: "a missing revision is a permanent error", parameters: with(target, "revision", "9"), image: "registry.example/payment-api:3",
			want:  result{Exit: 64, Reason: "ActionFailed", Message: "has no revision 9; see kubectl -n production rollout history deployment payment-api"},
			again: result{Exit: 64, Reason: "ActionFailed", Message: "has no revision 9"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, revisions()...).rollsOut(settleDeployment)
			c.want.check(t, c.reason, f.attempt(run{action: "rollback-deployment", parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: "rollback-deployment", parameters: c.parameters}))
			d := f.deployment()
			if got := d.Spec.Template.Spec.Containers[0].Image; got != c.image {
				t.Errorf("%s\nimage %s, want %s", c.reason, got, c.image)
			}
			if c.image == "registry.example/payment-api:2" {
				want := map[string]string{"app": "payment-api"}
				if diff := cmp.Diff(want, d.Spec.Template.Labels); diff != "" || d.Spec.Template.Spec.Containers[0].Env != nil {
					t.Errorf("%s\nthe template is that of the revision and nothing else: %s %v", c.reason, diff, d.Spec.Template.Spec.Containers[0].Env)
				}
				if d.Annotations["kubernetes.io/change-cause"] != "release 2" {
					t.Errorf("%s\nthe history contains the cause of the revision: %v", c.reason, d.Annotations)
				}
			}
		})
	}
}
