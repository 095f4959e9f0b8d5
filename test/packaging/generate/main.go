// Command generate copies the manifests of config, including their comments, to the files of the chart, because Helm reads no files outside
// of a chart. make generate runs it in test/packaging.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// config is the folder of the manifests.
const config = "../../config"

// files maps the files of the chart to the kustomizations and manifests that each consists of.
var files = map[string][]string{
	"crd.yaml":               {"crd"},
	"rbac.yaml":              {"rbac/service_account.yaml", "rbac/role.yaml", "rbac/leader_election.yaml", "rbac/metrics.yaml"},
	"user-roles.yaml":        {"rbac/user_roles.yaml"},
	"policies.yaml":          {"policy"},
	"network-policy.yaml":    {"network-policy"},
	"manager.yaml":           {"manager/manager.yaml"},
	"service.yaml":           {"manager/service.yaml"},
	"high-availability.yaml": {"components/high-availability"},
	"actions.yaml":           {"actions", "actions/rbac"},
	"monitoring.yaml":        {"prometheus"},
	"dashboard.json":         {"grafana/dashboards/workflowexecution-controller.json"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	folder := filepath.Join(config, "chart", "files")
	// Files without a source must not remain.
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, sources := range files {
		var parts []string
		for _, source := range sources {
			more, err := read(filepath.Join(config, source))
			if err != nil {
				return err
			}
			parts = append(parts, more...)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(strings.Join(parts, "---\n")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// read returns the content of a file, or of all resources of a kustomization.
func read(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		content, err := os.ReadFile(path)
		return []string{string(content)}, err
	}
	content, err := os.ReadFile(filepath.Join(path, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var parts []string
	for _, resource := range kustomization.Resources {
		more, err := read(filepath.Join(path, resource))
		if err != nil {
			return nil, err
		}
		parts = append(parts, more...)
	}
	return parts, nil
}
