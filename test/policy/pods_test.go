package policy

import (
	"fmt"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestPodsAreConfined checks every container that this repository ships against Pod Security "restricted", and also for a
// read-only root filesystem and a memory limit.
func TestPodsAreConfined(t *testing.T) {
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "actions", "*-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, filepath.Join(root, "config", "actions", "wait.yaml"), filepath.Join(root, "config", "manager", "manager.yaml"),
		filepath.Join(root, "config", "samples", "payment-api", "deployment.yaml"))
	objects, err := testutil.ReadManifests(files...)
	if err != nil {
		t.Fatal(err)
	}
	pods := 0
	for _, object := range objects {
		for _, pod := range podsOf(t, object) {
			pods++
			if err := confined(&pod); err != nil {
				t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
			}
		}
	}
	if pods < 25 {
		t.Errorf("only %d pods found, want at least 25", pods)
	}
}

// podsOf are the pods of a Deployment or of the templates of an action.
func podsOf(t *testing.T, object *unstructured.Unstructured) []corev1.PodSpec {
	t.Helper()
	decode := func(fields map[string]any) corev1.PodSpec {
		var pod corev1.PodSpec
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &pod); err != nil {
			t.Fatal(err)
		}
		return pod
	}
	if object.GetKind() == "Deployment" {
		fields, _, err := unstructured.NestedMap(object.Object, "spec", "template", "spec")
		if err != nil {
			t.Fatal(err)
		}
		return []corev1.PodSpec{decode(fields)}
	}
	templates, _, err := unstructured.NestedSlice(object.Object, "spec", "templates")
	if err != nil {
		t.Fatal(err)
	}
	var pods []corev1.PodSpec
	for _, template := range templates {
		if container, ok := template.(map[string]any)["container"]; ok {
			pods = append(pods, decode(map[string]any{"containers": []any{container}}))
		}
	}
	return pods
}

func confined(pod *corev1.PodSpec) error {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		security := c.SecurityContext
		if security == nil {
			return fmt.Errorf("container %s has no security context", c.Name)
		}
		nonRoot, seccomp := security.RunAsNonRoot, security.SeccompProfile
		if pod.SecurityContext != nil {
			nonRoot, seccomp = pod.SecurityContext.RunAsNonRoot, pod.SecurityContext.SeccompProfile
		}
		for what, ok := range map[string]bool{
			"a memory limit":              !c.Resources.Limits.Memory().IsZero(),
			"a CPU request":               !c.Resources.Requests.Cpu().IsZero(),
			"runAsNonRoot":                nonRoot != nil && *nonRoot,
			"a seccomp profile":           seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"no privilege escalation":     security.AllowPrivilegeEscalation != nil && !*security.AllowPrivilegeEscalation,
			"a read-only root filesystem": security.ReadOnlyRootFilesystem != nil && *security.ReadOnlyRootFilesystem,
			"no capabilities":             security.Capabilities != nil && len(security.Capabilities.Drop) == 1 && security.Capabilities.Drop[0] == "ALL" && len(security.Capabilities.Add) == 0,
			"no hostPath volume":          len(hostPaths(pod)) == 0,
		} {
			if !ok {
				return fmt.Errorf("container %s lacks %s", c.Name, what)
			}
		}
	}
	return nil
}

func hostPaths(pod *corev1.PodSpec) []string {
	var paths []string
	for i := range pod.Volumes {
		if pod.Volumes[i].HostPath != nil {
			paths = append(paths, pod.Volumes[i].HostPath.Path)
		}
	}
	return paths
}
