package actions

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// takenBackCase is a state in which an action changes something, and an owner that reverts it.
type takenBackCase struct {
	objects    func() []runtime.Object
	parameters map[string]string
	resource   schema.GroupVersionResource
	namespace  string
	name       string
	// field is the path of managed fields that the owner writes.
	field string
	// atOnce is true if the owner is a webhook that changes the object while it is written, because the action does not wait.
	atOnce bool
}

// neverTakenBack lists the actions whose effect no owner can revert, and why.
var neverTakenBack = map[string]string{
	"restart-pod": "a deleted pod does not return", "delete-pod": "a deleted pod does not return",
	"evict-pod": "a deleted pod does not return", "delete-failed-pods": "a deleted pod does not return",
	"delete-job": "a deleted Job does not return",
}

const templateField = `{"f:spec":{"f:template":{}}}`

func takenBackCases() map[string]takenBackCase {
	apps := appsv1.SchemeGroupVersion
	deployment := func(more ...string) takenBackCase {
		return takenBackCase{
			objects:    func() []runtime.Object { return revisions() },
			parameters: with(map[string]string{"deployment": "payment-api"}, more...),
			resource:   apps.WithResource("deployments"), namespace: namespace, name: "payment-api", field: templateField,
		}
	}
	scaled := deployment("replicas", "5")
	scaled.field = `{"f:spec":{"f:replicas":{}}}`
	set := takenBackCase{
		objects:    func() []runtime.Object { return []runtime.Object{ledger(appsv1.RollingUpdateStatefulSetStrategyType)} },
		parameters: map[string]string{"statefulset": "ledger", "replicas": "5"},
		resource:   apps.WithResource("statefulsets"), namespace: namespace, name: "ledger", field: scaled.field,
	}
	restartedSet := set
	restartedSet.parameters, restartedSet.field = map[string]string{"statefulset": "ledger"}, templateField
	nodes := func(field string, n *corev1.Node, more ...string) takenBackCase {
		return takenBackCase{
			objects:    func() []runtime.Object { return []runtime.Object{n.DeepCopy(), pod("a", owned)} },
			parameters: with(map[string]string{"node": "node-1"}, more...),
			resource:   nodesResource, name: "node-1", field: field, atOnce: true,
		}
	}
	drained := nodes(`{"f:spec":{"f:unschedulable":{}}}`, node(), "wait-seconds", "60")
	drained.atOnce = false
	data := func(resource string, parameters map[string]string) takenBackCase {
		return takenBackCase{
			objects: func() []runtime.Object {
				old := settings()
				old.Name, old.Data, old.Annotations = "old", map[string]string{"level": "debug"}, map[string]string{annotationSnapshotOf: "settings"}
				secret := func(name string) *corev1.Secret {
					return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string][]byte{"password": []byte(name)}}
				}
				return []runtime.Object{settings(), old, secret("db"), secret("new")}
			},
			parameters: parameters, resource: corev1.SchemeGroupVersion.WithResource(resource), namespace: namespace,
			name: parameters[strings.TrimSuffix(resource, "s")], field: `{"f:data":{}}`, atOnce: true,
		}
	}
	return map[string]takenBackCase{
		"scale-deployment": scaled, "scale-statefulset": set,
		"restart-deployment": deployment(), "restart-statefulset": restartedSet,
		"restart-daemonset": {
			objects:    func() []runtime.Object { return []runtime.Object{agent(appsv1.RollingUpdateDaemonSetStrategyType)} },
			parameters: map[string]string{"daemonset": "agent"},
			resource:   apps.WithResource("daemonsets"), namespace: namespace, name: "agent", field: templateField,
		},
		"set-resources": deployment("memory-limit", "2Gi"), "update-image": deployment("image", "registry.example/payment-api:9"),
		"set-env": deployment("name", "LEVEL", "value", encode("debug")), "rollback-deployment": deployment(),
		"cordon-node":       nodes(drained.field, node()),
		"uncordon-node":     nodes(drained.field, node(cordoned)),
		"taint-node":        nodes(`{"f:spec":{"f:taints":{}}}`, node(), "key", "broken-disk", "value", "sda"),
		"drain-node":        drained,
		"update-configmap":  data("configmaps", map[string]string{"configmap": "settings", "key": "level", "value": encode("debug")}),
		"restore-configmap": data("configmaps", map[string]string{"configmap": "settings", "snapshot": "old"}),
		"update-secret":     data("secrets", map[string]string{"secret": "db", "key": "password", "from-secret": "new"}),
		"set-hpa": {
			objects: func() []runtime.Object {
				a := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}}
				a.Spec.MaxReplicas = 3
				return []runtime.Object{a}
			},
			parameters: map[string]string{"hpa": "web", "max-replicas": "9"},
			resource:   autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers"), namespace: namespace, name: "web",
			field: `{"f:spec":{"f:maxReplicas":{}}}`, atOnce: true,
		},
		"expand-pvc": {
			objects: func() []runtime.Object {
				c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: namespace, UID: "uid-of-data"}}
				c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
				return []runtime.Object{c}
			},
			parameters: map[string]string{"pvc": "data", "size": "20Gi"},
			resource:   corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), namespace: namespace, name: "data",
			field: `{"f:spec":{"f:resources":{}}}`,
		},
	}
}

// revert makes the owner write the object as it was before the step.
func revert(before runtime.Object, field string) runtime.Object {
	o := before.DeepCopyObject()
	accessor := o.(metav1.Object)
	accessor.SetGeneration(accessor.GetGeneration() + 2)
	setManagers(accessor, field)
	return o
}

func setManagers(object metav1.Object, field string) {
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: fieldManager, Operation: metav1.ManagedFieldsOperationUpdate, Time: ptr.To(metav1.Now()), FieldsV1: metav1.NewFieldsV1(field)},
		{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, Time: ptr.To(metav1.Now()), FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{}}}`)},
		{Manager: "argocd-controller", Operation: metav1.ManagedFieldsOperationApply, Time: ptr.To(metav1.NewTime(time.Now().Add(-time.Minute))), FieldsV1: metav1.NewFieldsV1(field)},
	})
}

// showsManagers adds managed fields to what a read returns, because the fake client removes them.
func (f *fixture) showsManagers(gvr schema.GroupVersionResource, field string) {
	f.kube.PrependReactor("get", gvr.Resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		found, err := f.kube.Tracker().Get(gvr, action.GetNamespace(), action.(clienttesting.GetActionImpl).Name)
		if err == nil {
			found = found.DeepCopyObject()
			setManagers(found.(metav1.Object), field)
		}
		return true, found, err
	})
	f.kube.PrependWatchReactor(gvr.Resource, func(action clienttesting.Action) (bool, watch.Interface, error) {
		events, err := f.kube.Tracker().Watch(gvr, action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		return true, watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
			e.Object = e.Object.DeepCopyObject()
			setManagers(e.Object.(metav1.Object), field)
			return e, true
		}), nil
	})
}

// TestEffectTakenBack runs every action of the catalog that changes an object, reverts its change as the object's owner, and
// expects a failure that names the owner.
func TestEffectTakenBack(t *testing.T) {
	t.Parallel()
	cases := takenBackCases()
	for _, action := range All() {
		changes := slices.ContainsFunc(action.Parameters, func(p contract.Parameter) bool { return p.Name == contract.ParameterStep })
		if !changes || neverTakenBack[action.Name] != "" || action.Name == "run-job" || action.Name == "patch-resource" {
			continue
		}
		t.Run(action.Name, func(t *testing.T) {
			t.Parallel()
			c, ok := cases[action.Name]
			if !ok {
				t.Fatal("the action has no case, and neverTakenBack does not name it")
			}
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, c.objects()...)
				f.servesScales()
				before, err := f.kube.Tracker().Get(c.resource, c.namespace, c.name)
				if err != nil {
					t.Fatal(err)
				}
				if c.atOnce {
					f.kube.PrependReactor("patch", c.resource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) {
						return true, revert(before, c.field), nil
					})
				} else {
					f.terminates()
					f.observesNothing(c.resource)
					f.showsManagers(c.resource, c.field)
					f.controllers.Go(func() {
						sleep(10 * time.Second)
						if err := f.kube.Tracker().Update(c.resource, revert(before, c.field), c.namespace); err != nil {
							t.Error(err)
						}
					})
				}
				got := f.attempt(run{action: action.Name, parameters: with(c.parameters, "wait-seconds", "60")})
				if got.Exit == 0 || got.Reason != "ActionFailed" || !strings.Contains(got.Message, "field manager argocd-controller") {
					t.Errorf("the owner has reverted the change, and the step ends as %+v", got)
				}
				if got.Outputs["changed"] != "true" {
					t.Errorf("the step has changed something: %+v", got.Outputs)
				}
			})
		})
	}
}

// observesNothing increments the generation of a patched object, whose controller is too slow to observe it.
func (f *fixture) observesNothing(gvr schema.GroupVersionResource) {
	apply := clienttesting.ObjectReaction(f.kube.Tracker())
	f.kube.PrependReactor("patch", gvr.Resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		_, written, err := apply(action)
		if err != nil {
			return true, nil, err
		}
		written = written.DeepCopyObject()
		accessor := written.(metav1.Object)
		accessor.SetGeneration(accessor.GetGeneration() + 1)
		return true, written, f.kube.Tracker().Update(gvr, written, accessor.GetNamespace())
	})
}

// servesScales implements the scale subresource of the workloads without a controller.
func (f *fixture) servesScales() {
	f.kube.PrependReactor("update", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "scale" || isDryRun(action) {
			return false, nil, nil
		}
		scale := action.(clienttesting.UpdateActionImpl).Object.(*autoscalingv1.Scale)
		found, err := f.kube.Tracker().Get(action.GetResource(), namespace, scale.Name)
		if err != nil {
			return true, nil, err
		}
		found = found.DeepCopyObject()
		switch o := found.(type) {
		case *appsv1.Deployment:
			o.Spec.Replicas = &scale.Spec.Replicas
		case *appsv1.StatefulSet:
			o.Spec.Replicas = &scale.Spec.Replicas
		}
		return true, scale, f.kube.Tracker().Update(action.GetResource(), found, namespace)
	})
}

func TestPatchTakenBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client := f.hasWidgets()
	client.PrependReactor("patch", "widgets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) {
			return false, nil, nil
		}
		return true, revert(widget(), `{"f:spec":{}}`).(*unstructured.Unstructured), nil
	})
	got := f.attempt(run{action: "patch-resource", parameters: map[string]string{
		"api-version": "example.com/v1", "kind": "Widget", "name": "w", "patch": encode("spec: {size: 2}"),
	}})
	result{Exit: 64, Reason: "ActionFailed", Message: "field manager argocd-controller"}.check(t, "a webhook reverts the patch", got)
}

func TestJobDeletedMidway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "clean", Namespace: namespace, UID: "uid-of-cronjob"}}
		f := newFixture(t, source)
		f.kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
			name := action.(clienttesting.CreateActionImpl).Object.(*batchv1.Job).Name
			f.controllers.Go(func() {
				sleep(10 * time.Second)
				if err := f.kube.Tracker().Delete(batchv1.SchemeGroupVersion.WithResource("jobs"), namespace, name); err != nil {
					t.Error(err)
				}
			})
			return false, nil, nil
		})
		got := f.attempt(run{action: "run-job", parameters: map[string]string{"cronjob": "clean", "wait-seconds": "60"}})
		if got.Exit != 64 || !strings.Contains(got.Message, "was deleted during the step") {
			t.Errorf("the Job is gone: %+v", got)
		}
	})
}

func TestStatefulSetWithPartition(t *testing.T) {
	t.Parallel()
	o := ledger(appsv1.RollingUpdateStatefulSetStrategyType)
	o.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To[int32](3)}
	got := newFixture(t, o).attempt(run{action: "restart-statefulset", parameters: map[string]string{"statefulset": "ledger"}})
	result{Exit: 64, Reason: "ActionFailed", Message: "has partition 3, so a rollout replaces only the pods from ordinal 3 on"}.check(t, "no pod would be replaced", got)
}

func TestScaleDuringARollout(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		status appsv1.DeploymentStatus
		exit   int
	}{
		"Surge":      {reason: "the pods that count are available", status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}},
		"TooMany":    {reason: "a rollout explains only its surge", status: appsv1.DeploymentStatus{Replicas: 5, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}, exit: 1},
		"NoRollout":  {reason: "a surplus pod without a rollout is still to go", status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 2, AvailableReplicas: 2}, exit: 1},
		"Unobserved": {reason: "numbers of an older generation are ignored", status: appsv1.DeploymentStatus{ObservedGeneration: -1, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}, exit: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := paymentAPI()
				observed := d.Status.ObservedGeneration
				d.Status = c.status
				if d.Status.ObservedGeneration == 0 {
					d.Status.ObservedGeneration = observed
				}
				got := newFixture(t, d).attempt(run{action: "scale-deployment", parameters: map[string]string{"deployment": "payment-api", "replicas": "2"}})
				if got.Exit != c.exit {
					t.Errorf("%s: %+v", c.reason, got)
				}
			})
		})
	}
}

func TestScaleUnderAnAutoscaler(t *testing.T) {
	t.Parallel()
	a := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}}
	a.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "payment-api"}
	a.Spec.MinReplicas, a.Spec.MaxReplicas = ptr.To[int32](2), 3
	for replicas, message := range map[string]string{
		"4": "horizontalpodautoscaler web allows 2 to 3 replicas of Deployment payment-api and would revert 4",
		"1": "would revert 1", "3": "", "0": "",
	} {
		t.Run(replicas, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, paymentAPI(), a.DeepCopy()).rollsOut(settleDeployment)
			got := f.attempt(run{action: "scale-deployment", parameters: map[string]string{"deployment": "payment-api", "replicas": replicas}})
			if (got.Exit == 0) != (message == "") || !strings.Contains(got.Message, message) {
				t.Errorf("%+v", got)
			}
			if message != "" && len(got.Writes) > 0 {
				t.Errorf("the step has written: %v", got.Writes)
			}
		})
	}
}

func TestRollbackSkipsRestarts(t *testing.T) {
	t.Parallel()
	objects := revisions()
	// Revision 3 is revision 2 after a restart.
	d, second, third := objects[0].(*appsv1.Deployment), objects[2].(*appsv1.ReplicaSet), objects[3].(*appsv1.ReplicaSet)
	third.Spec.Template = *second.Spec.Template.DeepCopy()
	third.Spec.Template.Annotations = map[string]string{annotationRestartedAt: "2026-01-01T00:00:00Z"}
	d.Spec.Template = *third.Spec.Template.DeepCopy()
	f := newFixture(t, objects...).rollsOut(settleDeployment)
	got := f.attempt(run{action: "rollback-deployment", parameters: map[string]string{"deployment": "payment-api"}})
	if image := f.deployment().Spec.Template.Spec.Containers[0].Image; got.Exit != 0 || image != "registry.example/payment-api:1" {
		t.Errorf("the rollback restores the template that was restarted: %s, %+v", image, got)
	}
}
