package packaging

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestServerTakesThem applies every object to a real API server that refuses what it does not know, with the
// CustomResourceDefinitions of Argo and of the Prometheus operator.
func TestServerTakesThem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program(t, "KUBEBUILDER_ASSETS")
	environment := &envtest.Environment{
		ErrorIfCRDPathMissing: true, ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute,
		CRDDirectoryPaths: []string{filepath.Join(root(t), "config", "crd"), argoDefinitions(t), operatorDefinitions(t)},
	}
	config, err := environment.Start()
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := testutil.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	server, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}); err != nil {
		t.Fatal(err)
	}
	everything := map[string][]*unstructured.Unstructured{
		"kustomize": slices.Concat(
			kustomize(t, root(t), "config/default", "config/prometheus", "config/policy", "config/network-policy", "config/namespaced", "config/samples/payment-api"), withComponents(t, "components/high-availability")),
		"chart": render(t, systemNamespace, arguments([]string{"monitoring.install=true", "policies.install=true", "networkPolicy.install=true", "replicas=2"})...),
	}
	for name, objects := range everything {
		t.Run(name, func(t *testing.T) {
			for _, object := range objects {
				// Namespaces are made for good, so that what is inside can be tried.
				var dry []client.ApplyOption
				if object.GetKind() != "Namespace" {
					dry = append(dry, client.DryRunAll)
				}
				dry = append(dry, client.FieldOwner("test"), client.ForceOwnership)
				strict := client.WithFieldValidation(server, metav1.FieldValidationStrict)
				if err := strict.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), dry...); err != nil {
					t.Errorf("%s: %v", key(object), err)
				}
			}
		})
	}
}

// argoDefinitions is the folder with Argo's full definitions, which know every field.
func argoDefinitions(t *testing.T) string {
	t.Helper()
	minimal, err := testutil.ArgoDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(minimal), "full")
}

// operatorDefinitions is the folder with the Prometheus operator's definitions, in its module.
func operatorDefinitions(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-modfile=test/tools/definitions.mod", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = root(t)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("download the operator's module: %v\n%s", err, said)
	}
	command = exec.CommandContext(t.Context(), "go", "list", "-m", "-modfile=test/tools/definitions.mod", "-f", "{{.Dir}}", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = root(t)
	folder, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(folder)), "example", "prometheus-operator-crd")
}
