package packaging

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// removesEveryObject installs every part and uninstalls it twice. No controller is running, so the end of a Workflow is never recorded.
func removesEveryObject(ctx context.Context, t *testing.T, server client.Client, kubeconfig string) {
	const foreign = "example.com/foreign"
	wfe := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "running"},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "v1", Kind: "ConfigMap", Name: "x"},
			Steps:  []wfev1.Step{{Name: "only", Action: "wait"}},
		},
	}
	wf := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "running", Labels: map[string]string{wfev1.LabelRole: wfev1.RoleMain},
		Finalizers: []string{foreign, wfev1.FinalizerObserved},
	}}
	snapshot := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "snapshot", Labels: map[string]string{"workflowexecution.kubernaut.io/snapshot-of": "0"},
	}}
	for _, object := range []client.Object{wfe, wf, snapshot} {
		if err := server.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	parts := kustomize(t, root(t), "config/default", "config/prometheus", "config/policy", "config/network-policy", "config/namespaced")
	parts = append(parts, withComponents(t, "components/high-availability")...)
	for _, object := range parts {
		// No controller empties a deleted namespace here, so namespaces are left out.
		if object.GetKind() == "Namespace" {
			continue
		}
		if err := server.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatalf("%s: %v", key(object), err)
		}
	}

	for range 2 {
		command := exec.CommandContext(ctx, "config/default/uninstall.sh")
		command.Dir = root(t)
		command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECTL="+program(t, "KUBECTL"), "TIMEOUT=5s")
		printed, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
	}

	for _, object := range parts {
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(object.GroupVersionKind())
		err := server.Get(ctx, client.ObjectKeyFromObject(object), found)
		if object.GetKind() != "Namespace" && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			t.Errorf("%s still exists: %v", key(object), err)
		}
	}
	if err := server.Get(ctx, client.ObjectKeyFromObject(wfe), wfe); !apierrors.IsNotFound(err) {
		t.Errorf("the execution still exists: %v", err)
	}
	if err := server.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot); !apierrors.IsNotFound(err) {
		t.Errorf("the snapshot still exists: %v", err)
	}
	if err := server.Get(ctx, client.ObjectKeyFromObject(wf), wf); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{foreign}, wf.Finalizers); diff != "" || wf.DeletionTimestamp == nil {
		t.Errorf("the Workflow has finalizers (-want +got), and is deleted at %v:\n%s", wf.DeletionTimestamp, diff)
	}
}
