package e2e

import (
	"context"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// content contains the template syntax of Argo and of the kubelet, and several lines.
const content = "{{workflow.name}}\n$(HOME)\n"

func makeConfigMap(name, value string, annotations map[string]string) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		Expect(cluster.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: annotations},
			Data:       map[string]string{"key": value, "other": "stays"},
		})).To(Succeed())
	}
}

func ofConfigMap(name string) func(context.Context, Gomega, string) string {
	return func(ctx context.Context, g Gomega, namespace string) string {
		data := get(ctx, g, namespace, name, &corev1.ConfigMap{}).Data
		return data["key"] + " " + data["other"]
	}
}

func makeSecret(name, value string) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		Expect(cluster.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: map[string]string{"password": value},
		})).To(Succeed())
	}
}

func both(make ...func(context.Context, string)) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		for _, m := range make {
			m(ctx, namespace)
		}
	}
}

// mayPatchConfigMaps adds a rule to the role of patch-resource, as an installation does.
func mayPatchConfigMaps(ctx context.Context, namespace string) {
	createForSpecs(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   namespace + "-may-patch-configmaps",
			Labels: map[string]string{"workflowexecution.kubernaut.io/aggregate-to-patch-resource": "true"},
		},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "patch"}}},
	})
}

// makeClaim creates a claim that is bound to a volume without a storage driver. Only the storage request can change.
func makeClaim(ctx context.Context, namespace string) {
	class := namespace
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	createForSpecs(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "kubernetes.io/no-provisioner", AllowVolumeExpansion: ptr.To(true),
	})
	createForSpecs(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: class},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, StorageClassName: class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere"}},
		},
	})
	Expect(cluster.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "disk"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	})).To(Succeed())
}

var dataCases = []actionCase{
	{
		action: "update-configmap", parameters: []string{"configmap", "settings", "key", "key", "value", content},
		prepare: makeConfigMap("settings", "first", nil), state: ofConfigMap("settings"), effect: content + " stays", again: "false",
		undo:  undo("restore-configmap", []string{"configmap", "settings"}, from("snapshot", "do", "previous-snapshot")),
		wrong: []string{"configmap", "no-such", "key", "key"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "restore-configmap", parameters: []string{"configmap", "damaged", "snapshot", "whole"},
		prepare: both(
			makeConfigMap("damaged", "damaged", nil),
			makeConfigMap("whole", "whole", map[string]string{"workflowexecution.kubernaut.io/snapshot-of": "damaged"}),
		),
		state: ofConfigMap("damaged"), effect: "whole stays", again: "false",
		wrong: []string{"configmap", "damaged", "snapshot", "settings"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "update-secret", parameters: []string{"secret", "login", "key", "password", "from-secret", "vault"},
		prepare: both(makeSecret("login", "old"), makeSecret("vault", "new")),
		state: func(ctx context.Context, g Gomega, namespace string) string {
			return string(get(ctx, g, namespace, "login", &corev1.Secret{}).Data["password"])
		},
		effect: "new", again: "false",
		undo: undo("update-secret", []string{"secret", "login", "key", "password", "when-missing", "remove"},
			from("from-secret", "do", "previous-snapshot")),
		wrong: []string{"secret", "login", "key", "password", "from-secret", "vault", "from-key", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action:     "patch-resource",
		parameters: []string{"api-version", "v1", "kind", "ConfigMap", "name", "patched", "type", "strategic", "patch", `data: {key: "{{}}", other: null}`},
		prepare:    both(mayPatchConfigMaps, makeConfigMap("patched", "first", nil)),
		state:      ofConfigMap("patched"), effect: "{{}} ", again: "false",
		undo:  undo("patch-resource", []string{"api-version", "v1", "kind", "ConfigMap", "name", "patched"}, from("patch", "do", "previous-patch")),
		wrong: []string{"api-version", "v1", "kind", "NoSuchKind", "name", "patched", "patch", "{}"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "expand-pvc", parameters: []string{"pvc", "disk", "size", "2Gi", "wait-seconds", "0"}, prepare: makeClaim,
		state: func(ctx context.Context, g Gomega, namespace string) string {
			return get(ctx, g, namespace, "disk", &corev1.PersistentVolumeClaim{}).Spec.Resources.Requests.Storage().String()
		},
		effect: "2Gi", again: "false", wrong: []string{"pvc", "disk", "size", "much"}, reason: wfev1.ReasonInvalidSpec,
	},
}
