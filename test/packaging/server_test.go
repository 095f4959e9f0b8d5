package packaging

import (
	"context"
	"os"
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

// TestServer installs and uninstalls everything on a real API server, with the CRDs of Argo and of the Prometheus operator.
func TestServer(t *testing.T) {
	server, kubeconfig := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := server.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}); err != nil {
		t.Fatal(err)
	}
	t.Run("accepts every object", func(t *testing.T) { acceptsEveryObject(ctx, t, server) })
	t.Run("removes every object", func(t *testing.T) { removesEveryObject(ctx, t, server, kubeconfig) })
}

// acceptsEveryObject applies all objects with strict validation, which rejects unknown fields.
func acceptsEveryObject(ctx context.Context, t *testing.T, server client.Client) {
	everything := map[string][]*unstructured.Unstructured{
		"kustomize": slices.Concat(
			kustomize(t, root(t), "config/default", "config/prometheus", "config/policy", "config/network-policy", "config/namespaced", "config/samples/payment-api"), withComponents(t, "components/high-availability")),
		"chart": render(t, systemNamespace, arguments([]string{"monitoring.install=true", "policies.install=true", "networkPolicy.install=true", "replicas=2"})...),
	}
	for name, objects := range everything {
		t.Run(name, func(t *testing.T) {
			for _, object := range objects {
				options := []client.ApplyOption{client.FieldOwner("test"), client.ForceOwnership}
				if object.GetKind() == "Namespace" {
					// The namespace must exist for the objects in it. Without its labels the uninstallation keeps it: nothing empties a namespace here.
					object.SetLabels(nil)
				} else {
					options = append(options, client.DryRunAll)
				}
				strict := client.WithFieldValidation(server, metav1.FieldValidationStrict)
				if err := strict.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
					t.Errorf("%s: %v", key(object), err)
				}
			}
		})
	}
}

// start starts an API server, and writes a kubeconfig for it.
func start(t *testing.T) (server client.Client, kubeconfig string) {
	t.Helper()
	program(t, "KUBEBUILDER_ASSETS")
	environment := &envtest.Environment{
		ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute,
		CRDInstallOptions: envtest.CRDInstallOptions{Paths: definitions(t), MaxTime: time.Minute},
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
	server, err = client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, kubeconfig
}

// definitions returns the files of the CRDs. Only the catalog's of Argo is the full one, because the server is slow to accept each.
func definitions(t *testing.T) []string {
	t.Helper()
	minimal, err := testutil.ArgoDefinitions(testutil.Minimal)
	if err != nil {
		t.Fatal(err)
	}
	full, err := testutil.ArgoDefinitions(testutil.Full)
	if err != nil {
		t.Fatal(err)
	}
	operator := operatorDefinitions(t)
	return []string{
		filepath.Join(root(t), "config", "crd", "workflowexecution.kubernaut.io_workflowexecutions.yaml"),
		filepath.Join(full, "argoproj.io_clusterworkflowtemplates.yaml"),
		filepath.Join(minimal, "argoproj.io_workflows.yaml"),
		filepath.Join(minimal, "argoproj.io_workflowtemplates.yaml"),
		filepath.Join(operator, "monitoring.coreos.com_servicemonitors.yaml"),
		filepath.Join(operator, "monitoring.coreos.com_prometheusrules.yaml"),
	}
}

// operatorDefinitions returns the folder of the CRDs in the module of the Prometheus operator.
func operatorDefinitions(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-modfile=test/tools/definitions.mod", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = root(t)
	if printed, err := command.CombinedOutput(); err != nil {
		t.Fatalf("download the module of the operator: %v\n%s", err, printed)
	}
	command = exec.CommandContext(t.Context(), "go", "list", "-m", "-modfile=test/tools/definitions.mod", "-f", "{{.Dir}}", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = root(t)
	folder, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(folder)), "example", "prometheus-operator-crd")
}
