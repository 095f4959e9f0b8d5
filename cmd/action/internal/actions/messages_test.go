package actions

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestDefaultContainer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason     string
		annotation string
		parameter  string
		containers []string
		changed    string
		message    string
	}{
		"Annotated":  {reason: "the sidecar stands first", annotation: "api", containers: []string{"proxy", "api"}, changed: "api"},
		"Parameter":  {reason: "the parameter overrides the annotation", annotation: "api", parameter: "proxy", containers: []string{"proxy", "api"}, changed: "proxy"},
		"Only":       {reason: "there is no other", containers: []string{"api"}, changed: "api"},
		"Ambiguous":  {reason: "a guess could change the sidecar", containers: []string{"proxy", "api"}, message: "has several containers (proxy, api); set the parameter container"},
		"BadDefault": {reason: "the annotation is wrong", annotation: "web", containers: []string{"api"}, message: `has no container "web"; it has api`},
	} {
		for action, more := range map[string][]string{
			"update-image": {"image", "x:2"}, "set-resources": {"memory-limit", "3Gi"}, "set-env": {"name", "A", "value", encode("b")},
		} {
			t.Run(name+"/"+action, func(t *testing.T) {
				t.Parallel()
				d := paymentAPI()
				one := d.Spec.Template.Spec.Containers[0]
				d.Spec.Template.Spec.Containers = nil
				for _, name := range c.containers {
					one.Name = name
					d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, *one.DeepCopy())
				}
				if c.annotation != "" {
					d.Spec.Template.Annotations = map[string]string{annotationDefaultContainer: c.annotation}
				}
				before := d.DeepCopy()
				f := newFixture(t, d).rollsOut(settleDeployment)
				got := f.attempt(run{action: action, parameters: with(map[string]string{"deployment": "payment-api", "container": c.parameter}, more...)})
				if (got.Exit == 0) != (c.message == "") || !strings.Contains(got.Message, c.message) {
					t.Fatalf("%s: %+v", c.reason, got)
				}
				for i, now := range f.deployment().Spec.Template.Spec.Containers {
					if changed := now.String() != before.Spec.Template.Spec.Containers[i].String(); changed != (now.Name == c.changed) {
						t.Errorf("%s: container %s changed: %v", c.reason, now.Name, changed)
					}
				}
			})
		}
	}
}

func TestNoSnapshotOfARefusedChange(t *testing.T) {
	t.Parallel()
	secret := func(name string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string][]byte{"password": []byte(name)}}
	}
	immutable := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Secret").GroupKind(), "db", nil)
	for resource, parameters := range map[string]map[string]string{
		"secrets":    {"secret": "db", "key": "password", "from-secret": "new"},
		"configmaps": {"configmap": "settings", "key": "level", "value": encode("debug")},
	} {
		for reason, err := range map[string]error{
			"immutable": immutable, "too large": apierrors.NewRequestEntityTooLargeError("above 1 MiB"),
			"forbidden": apierrors.NewForbidden(groupResource("", resource), "db", errors.New("cannot patch")),
		} {
			t.Run(resource+"/"+reason, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, secret("db"), secret("new"), settings())
				f.failAlways("patch", resource, err)
				got := f.attempt(run{action: "update-" + strings.TrimSuffix(resource, "s"), parameters: parameters})
				if got.Exit == 0 {
					t.Fatalf("%+v", got)
				}
				if last := got.Writes[len(got.Writes)-1]; last != "delete "+resource {
					t.Errorf("the snapshot remains: %v", got.Writes)
				}
			})
		}
	}
}

func TestMessagesContainTheCause(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = nil
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "api", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
		}
	}
	unscheduled := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"}}
	}
	stuck := func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.AvailableReplicas = 1, 1 }
	quota := func(d *appsv1.Deployment) {
		stuck(d)
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: pods"}}
	}
	set := ledger(appsv1.RollingUpdateStatefulSetStrategyType)
	set.Spec.Selector, set.Status.UpdatedReplicas = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "payment-api"}}, 1
	set.Status.ReadyReplicas = 2
	suspended := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "clean", Namespace: namespace, UID: "uid-of-cronjob"}}
	services := func(spec corev1.ServiceSpec) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}, Spec: spec}
	}
	forbidden := func(f *fixture) {
		f.failAlways("patch", "nodes", apierrors.NewForbidden(groupResource("", "nodes"), "node-1", errors.New("cannot patch")))
	}
	deployment := map[string]string{"deployment": "payment-api", "wait-seconds": "30"}
	cases := map[string]struct {
		objects []runtime.Object
		run     run
		prepare func(*fixture)
		message string
	}{
		"MissingImage": {
			objects: []runtime.Object{paymentAPI(stuck), pod("payment-api-2", waiting("ErrImagePull", "no such tag"))},
			run:     run{action: "restart-deployment", parameters: deployment},
			message: "pod payment-api-2 container api is waiting: ErrImagePull (no such tag) after 30s",
		},
		"Unschedulable": {
			objects: []runtime.Object{paymentAPI(stuck), pod("payment-api-2", unscheduled)},
			run:     run{action: "verify-deployment", parameters: deployment}, message: "pod payment-api-2 is not scheduled: 0/3 nodes are available after 30s",
		},
		"Quota": {
			objects: []runtime.Object{paymentAPI(quota)},
			run:     run{action: "scale-deployment", parameters: with(deployment, "replicas", "2")}, message: "1 of 2 replicas are available: exceeded quota: pods after 30s",
		},
		"BrokenPodOfAStatefulSet": {
			objects: []runtime.Object{set, pod("ledger-2", waiting("CrashLoopBackOff", ""))},
			run:     run{action: "restart-statefulset", parameters: map[string]string{"statefulset": "ledger", "wait-seconds": "30"}},
			message: "pod ledger-2 container api is waiting: CrashLoopBackOff after 30s",
		},
		"PausedDeployment": {
			objects: []runtime.Object{paymentAPI(stuck, func(d *appsv1.Deployment) { d.Spec.Paused = true })},
			run:     run{action: "verify-deployment", parameters: deployment}, message: "it is paused and rolls out no change until it is resumed",
		},
		"SuspendedJob": {
			objects: []runtime.Object{suspended}, prepare: func(f *fixture) { f.runsJobs(batchv1.JobSuspended) },
			run:     run{action: "run-job", parameters: map[string]string{"cronjob": "clean", "wait-seconds": "30"}},
			message: "it is suspended and starts no pod until it is resumed after 30s",
		},
		"ServiceWithoutPorts": {
			objects: []runtime.Object{services(corev1.ServiceSpec{ClusterIP: "None"})},
			run:     run{action: "verify-http", parameters: map[string]string{"service": "web"}}, message: "service web has no ports",
		},
		"TargetPort": {
			objects: []runtime.Object{services(corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}, {Port: 81}}})},
			run:     run{action: "verify-http", parameters: map[string]string{"service": "web", "port": "8080"}}, message: `service web has no port "8080"; it has http (80), 81`,
		},
		"ExternalName": {
			objects: []runtime.Object{services(corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"})},
			run:     run{action: "verify-http", parameters: map[string]string{"service": "web"}}, message: "has type ExternalName and therefore no endpoints",
		},
		"RoleBindingForNodes": {
			objects: []runtime.Object{node()}, prepare: forbidden,
			run: run{action: "cordon-node", parameters: map[string]string{"node": "node-1"}}, message: "to the step's service account with a ClusterRoleBinding",
		},
		"Stopped": {
			objects: []runtime.Object{paymentAPI(stuck)}, run: run{action: "verify-deployment", parameters: deployment, stopAfter: 10 * time.Second},
			message: "stopped while waiting for deployment payment-api: 1 out of 2 new replicas have been updated; the step was cancelled, exceeded its timeout",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, c.objects...)
				if c.prepare != nil {
					c.prepare(f)
				}
				got := f.attempt(c.run)
				if got.Exit == 0 || !strings.Contains(got.Message, c.message) {
					t.Errorf("%+v\nwant %q", got, c.message)
				}
			})
		})
	}
}
