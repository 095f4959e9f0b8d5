package actions

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

var deploymentsResource = appsv1.SchemeGroupVersion.WithResource("deployments")

// paymentAPI is a healthy Deployment with 2 replicas of one container.
func paymentAPI(tune ...func(*appsv1.Deployment)) *appsv1.Deployment {
	labels := map[string]string{"app": "payment-api"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "payment-api", Namespace: namespace, UID: "deployment-uid", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](2),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "api", Image: "registry.example/payment-api:1.0",
					Resources: corev1.ResourceRequirements{
						Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
						Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
					},
				}}},
			},
		},
	}
	settleDeployment(d)
	for _, f := range tune {
		f(d)
	}
	return d
}

func settleDeployment(d *appsv1.Deployment) {
	n := replicasOf(d.Spec.Replicas)
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
	}
}

// rollsOut plays the Deployment controller: after every write it observes the new generation, and settle determines the
// final status.
func (f *fixture) rollsOut(settle func(*appsv1.Deployment)) *fixture {
	f.t.Helper()
	f.servesScale()
	apply := clienttesting.ObjectReaction(f.kube.Tracker())
	follow := func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) || action.GetSubresource() == "scale" {
			return false, nil, nil
		}
		f.writing.Lock()
		_, written, err := apply(action)
		f.writing.Unlock()
		if err != nil {
			return true, nil, err
		}
		d, err := f.editDeployment(written.(*appsv1.Deployment).Name, func(d *appsv1.Deployment) { d.Generation++ })
		if err != nil {
			return true, nil, err
		}
		f.follow(d, settle)
		return true, d, nil
	}
	f.kube.PrependReactor("patch", "deployments", follow)
	return f
}

// follow changes the status of a Deployment in the background: observed, half way, settled.
func (f *fixture) follow(d *appsv1.Deployment, settle func(*appsv1.Deployment)) {
	halfWay := func(d *appsv1.Deployment) {
		d.Status.ObservedGeneration, d.Status.UpdatedReplicas, d.Status.AvailableReplicas = d.Generation, 1, 1
	}
	f.controllers.Go(func() {
		for _, step := range []func(*appsv1.Deployment){halfWay, settle} {
			sleep(10 * time.Millisecond)
			if _, err := f.editDeployment(d.Name, step); err != nil {
				f.t.Errorf("the controller of the test: %v", err)
			}
		}
	})
}

// editDeployment changes a Deployment as another client would.
func (f *fixture) editDeployment(name string, edit func(*appsv1.Deployment)) (*appsv1.Deployment, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	found, err := f.kube.Tracker().Get(deploymentsResource, namespace, name)
	if err != nil {
		return nil, err
	}
	d := found.(*appsv1.Deployment).DeepCopy()
	edit(d)
	return d, f.kube.Tracker().Update(deploymentsResource, d, namespace)
}

// servesScale implements the scale subresource, which the fake client lacks.
func (f *fixture) servesScale() {
	f.kube.PrependReactor("update", "deployments", func(action clienttesting.Action) (bool, runtime.Object, error) {
		update, ok := action.(clienttesting.UpdateActionImpl)
		if !ok || action.GetSubresource() != "scale" || isDryRun(action) {
			return false, nil, nil
		}
		scale := update.Object.(*autoscalingv1.Scale)
		d, err := f.editDeployment(scale.Name, func(d *appsv1.Deployment) {
			d.Generation++
			d.Spec.Replicas = ptr.To(scale.Spec.Replicas)
		})
		if err != nil {
			return true, nil, err
		}
		f.follow(d, settleDeployment)
		return true, scale, nil
	})
}

func (f *fixture) deployment() *appsv1.Deployment {
	f.t.Helper()
	found, err := f.kube.Tracker().Get(deploymentsResource, namespace, "payment-api")
	if err != nil {
		f.t.Fatal(err)
	}
	return found.(*appsv1.Deployment)
}

// with returns a copy of parameters with more of them.
func with(base map[string]string, more ...string) map[string]string {
	joined := map[string]string{}
	for name, value := range base {
		joined[name] = value
	}
	for i := 0; i+1 < len(more); i += 2 {
		joined[more[i]] = more[i+1]
	}
	return joined
}

func record(runID, step, action, previous string) string {
	return fmt.Sprintf(`[{"run":%q,"step":%q,"action":%q,"previous":%s}]`, runID, step, action, previous)
}

func groupResource(group, name string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: name}
}
