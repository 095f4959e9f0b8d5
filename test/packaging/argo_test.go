package packaging

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestArgoSettings applies the settings of config/argo to the manifests of Argo.
func TestArgoSettings(t *testing.T) {
	t.Parallel()
	definitions, err := testutil.ArgoDefinitions(testutil.Minimal)
	if err != nil {
		t.Fatal(err)
	}
	manifests := filepath.Join(filepath.Dir(definitions), "..", "..", "cluster-install-no-crds")
	overlay := t.TempDir()
	content := "namespace: argo\nresources: [" + relative(t, overlay, manifests) + "]\ncomponents: [" + relative(t, overlay, filepath.Join(root(t), "config", "argo")) + "]\n"
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	argo := kustomize(t, overlay, ".")

	controller := find(t, argo, "Deployment", "workflow-controller")
	containers, _, err := unstructured.NestedSlice(controller.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("%d containers, %v", len(containers), err)
	}
	set := map[string]string{}
	for _, variable := range containers[0].(map[string]any)["env"].([]any) {
		if value, ok := variable.(map[string]any)["value"].(string); ok {
			set[variable.(map[string]any)["name"].(string)] = value
		}
	}
	if diff := cmp.Diff(map[string]string{"DEFAULT_REQUEUE_TIME": "1s", "RECENTLY_STARTED_POD_DURATION": "0s"}, set); diff != "" {
		t.Errorf("variables of the controller (-want +got):\n%s", diff)
	}

	text, _, err := unstructured.NestedString(find(t, argo, "ConfigMap", "workflow-controller-configmap").Object, "data", "links")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct{ Name, Scope, URL string }
	if err := yaml.UnmarshalStrict([]byte(text), &links); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if link.Scope != "workflow" && link.Scope != "pod" {
			t.Errorf("the link %s has scope %q", link.Name, link.Scope)
		}
	}
	isDashboard := func(link struct{ Name, Scope, URL string }) bool {
		return strings.Contains(link.URL, "/d/"+dashboardUID(t)+"?")
	}
	if !slices.ContainsFunc(links, isDashboard) {
		t.Errorf("no link has the URL of the dashboard %s: %v", dashboardUID(t), links)
	}
}

func dashboardUID(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), "config", "grafana", "dashboards", "workflowexecution-controller.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ UID string }
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.UID
}
