package actions

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// TestAPIServer verifies what only a real API server implements: dry runs, locks, validation, strategic merge, ownership. No
// controller runs, so no action waits.
func TestAPIServer(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS must name the folder of etcd and kube-apiserver; make test-unit sees to it")
	}
	environment := &envtest.Environment{}
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	clients, err := contract.NewClients(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clients: clients}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := clients.Kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, *fixture){
		"DryRuns": testRealDryRuns, "Locks": testRealLocks, "Validation": testRealValidation, "Rollback": testRealRollback,
		"Apply": testRealApply, "ExpandPVC": testRealExpandPVC, "Marks": testRealMarks,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{t: t, clients: f.clients}) })
	}
}

// noWait returns parameters of an action that does not wait, because no controller runs.
func noWait(pairs ...string) map[string]string {
	return with(map[string]string{"wait-seconds": "0"}, pairs...)
}

func (f *fixture) createDeployment(ctx context.Context, name string) *appsv1.Deployment {
	f.t.Helper()
	d := paymentAPI()
	d.ObjectMeta = metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{"deployment.kubernetes.io/revision": "2"}}
	d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "KEPT", Value: "yes"}}
	made, err := f.clients.Kube.AppsV1().Deployments(namespace).Create(ctx, d, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return made
}

func (f *fixture) realDeployment(ctx context.Context, name string) *appsv1.Deployment {
	f.t.Helper()
	d, err := f.clients.Kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

func testRealDryRuns(t *testing.T, f *fixture) {
	before := f.createDeployment(t.Context(), "dry")
	if _, err := f.clients.Kube.CoreV1().ConfigMaps(namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "dry", Namespace: namespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	target := noWait("deployment", "dry", "dry-run", "true")
	anything := with(target, "api-version", "apps/v1", "kind", "Deployment", "name", "dry")
	for name, r := range map[string]run{
		"Scale":     {action: "scale-deployment", parameters: with(target, "replicas", "7")},
		"Restart":   {action: "restart-deployment", parameters: target},
		"Resources": {action: "set-resources", parameters: with(target, "memory-limit", "2Gi")},
		"Image":     {action: "update-image", parameters: with(target, "image", "x:2")},
		"Env":       {action: "set-env", parameters: with(target, "name", "A", "value", encode("b"))},
		"ConfigMap": {action: "update-configmap", parameters: with(target, "configmap", "dry", "key", "a", "value", encode("b"))},
		"Merge":     {action: "patch-resource", parameters: with(anything, "patch", encode("spec: {replicas: 9}"))},
		"Strategic": {action: "patch-resource", parameters: with(anything, "type", "strategic", "patch", encode("spec: {replicas: 9}"))},
		"JSON":      {action: "patch-resource", parameters: with(anything, "type", "json", "patch", encode(`[{"op":"replace","path":"/spec/replicas","value":9}]`))},
		"Apply":     {action: "patch-resource", parameters: with(anything, "type", "apply", "patch", encode("spec: {replicas: 9}"))},
	} {
		got := f.attempt(r)
		if got.Exit != 0 || got.Outputs["changed"] != "true" {
			t.Errorf("%s: a dry run reports what would change: %+v", name, got)
		}
		if after := f.realDeployment(t.Context(), "dry"); after.ResourceVersion != before.ResourceVersion {
			t.Fatalf("%s: a dry run wrote", name)
		}
	}
	maps, err := f.clients.Kube.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelSnapshotOf})
	if err != nil || len(maps.Items) != 0 {
		t.Errorf("a dry run kept a snapshot: %v %v", maps, err)
	}
}

// testRealLocks changes one object from many steps at once: no change is lost, and each step reports the previous state.
func testRealLocks(t *testing.T, f *fixture) {
	f.createDeployment(t.Context(), "busy")
	const steps = 6
	var group sync.WaitGroup
	results := make([]result, steps)
	for i := range steps {
		group.Go(func() {
			results[i] = f.attempt(run{action: "set-env", step: fmt.Sprint("step-", i), parameters: noWait(
				"deployment", "busy", "name", fmt.Sprint("V", i), "value", encode(fmt.Sprint(i)))})
		})
	}
	group.Wait()
	var want, got []string
	for i, r := range results {
		if r.Exit != 0 || r.Outputs["previous-absent"] != "true" {
			t.Errorf("step %d: %+v", i, r)
		}
		want = append(want, fmt.Sprintf("V%d=%d", i, i))
	}
	for _, e := range f.realDeployment(t.Context(), "busy").Spec.Template.Spec.Containers[0].Env {
		got = append(got, e.Name+"="+e.Value)
	}
	slices.Sort(got)
	if diff := cmp.Diff(append([]string{"KEPT=yes"}, want...), got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	again := f.attempt(run{action: "set-env", step: "step-0", parameters: noWait("deployment", "busy", "name", "V0", "value", encode("0"))})
	result{Outputs: results[0].Outputs}.check(t, "a retry finds its record among those of other steps", again)
}

func testRealValidation(t *testing.T, f *fixture) {
	f.createDeployment(t.Context(), "strict")
	target := noWait("deployment", "strict")
	for name, r := range map[string]run{
		"LimitBelowRequest": {action: "set-resources", parameters: with(target, "memory-limit", "1Mi", "memory-request", "2Mi")},
		"NotTheSchema":      {action: "patch-resource", parameters: noWait("api-version", "apps/v1", "kind", "Deployment", "name", "strict", "patch", encode("spec: {replicas: many}"))},
		"NoImage":           {action: "update-image", parameters: with(target, "image", "x y")},
	} {
		if got := f.attempt(r); got.Exit != contract.ExitNever || got.Reason != "InvalidSpec" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func testRealRollback(t *testing.T, f *fixture) {
	d := f.createDeployment(t.Context(), "back")
	old := d.Spec.Template.DeepCopy()
	old.Labels["pod-template-hash"] = "one"
	old.Spec.Containers[0].Image, old.Spec.Containers[0].Env, old.Spec.Containers[0].Name = "x:1", nil, "former"
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: "back-one", Namespace: namespace, Labels: old.Labels, Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0), Template: *old, Selector: &metav1.LabelSelector{MatchLabels: old.Labels}},
	}
	if _, err := f.clients.Kube.AppsV1().ReplicaSets(namespace).Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := f.attempt(run{action: "rollback-deployment", parameters: noWait("deployment", "back")})
	result{Outputs: map[string]string{"changed": "true", "previous-revision": "2", "target-revision": "1"}}.check(t, "to the one before", got)
	delete(old.Labels, "pod-template-hash")
	if diff := cmp.Diff(*old, f.realDeployment(t.Context(), "back").Spec.Template); diff != "" {
		t.Errorf("the template is that of the revision and nothing else (-want +got):\n%s", diff)
	}
}

func testRealApply(t *testing.T, f *fixture) {
	f.createDeployment(t.Context(), "owned")
	parameters := map[string]string{
		"api-version": "apps/v1", "kind": "Deployment", "name": "owned", "type": "apply", "patch": encode("spec: {replicas: 4}"),
	}
	first := f.attempt(run{action: "patch-resource", parameters: parameters})
	again := f.attempt(run{action: "patch-resource", parameters: parameters})
	want := result{Outputs: map[string]string{"changed": "true", "previous-patch": base64.StdEncoding.EncodeToString([]byte(`{"spec":{"replicas":2}}`))}}
	want.check(t, "applied", first)
	want.check(t, "applied once", again)
	owns := slices.ContainsFunc(f.realDeployment(t.Context(), "owned").ManagedFields, func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == fieldManager && m.Operation == metav1.ManagedFieldsOperationApply
	})
	if !owns {
		t.Error("the applied field has no owner")
	}
}

func testRealExpandPVC(t *testing.T, f *fixture) {
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "elastic"}, Provisioner: "example.com/none", AllowVolumeExpansion: ptr.To(true)}
	if _, err := f.clients.Kube.StorageV1().StorageClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	claims := f.clients.Kube.CoreV1().PersistentVolumeClaims(namespace)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: namespace}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr.To("elastic"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeName: "volume",
		Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")},
	}}
	made, err := claims.Create(t.Context(), claim, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status.Phase, made.Status.Capacity = corev1.ClaimBound, list("storage", "1Gi")
	if _, err := claims.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := f.attempt(run{action: "expand-pvc", parameters: noWait("pvc", "data", "size", "2Gi")})
	result{Outputs: map[string]string{"changed": "true", "previous-size": "1Gi"}}.check(t, "asked for", got)
	found, err := claims.Get(t.Context(), "data", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if size := found.Spec.Resources.Requests[corev1.ResourceStorage]; size.Cmp(resource.MustParse("2Gi")) != 0 {
		t.Errorf("the claim asks for %s", size.String())
	}
}

func testRealMarks(t *testing.T, f *fixture) {
	pods := f.clients.Kube.CoreV1().Pods(namespace)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "standalone", Namespace: namespace}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: "x"}}
	p.Spec.AutomountServiceAccountToken = ptr.To(false)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace}}
	if _, err := f.clients.Kube.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{"pod": "standalone", "grace-period-seconds": "0", "wait-seconds": "5"}
	want := result{Outputs: map[string]string{"changed": "true"}}
	want.check(t, "deleted", f.attempt(run{action: "delete-pod", parameters: parameters}))
	want.check(t, "a retry finds the mark", f.attempt(run{action: "delete-pod", parameters: parameters}))
	// A new pod of the same name must not be deleted.
	if _, err := pods.Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want.check(t, "another pod of the same name", f.attempt(run{action: "delete-pod", parameters: parameters}))
	if _, err := pods.Get(t.Context(), "standalone", metav1.GetOptions{}); err != nil {
		t.Errorf("the other pod is gone: %v", err)
	}
}
