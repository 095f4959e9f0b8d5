package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	controllerImage = "ghcr.io/kubernaut-io/workflowexecution-controller"
	actionImage     = "ghcr.io/kubernaut-io/workflowexecution-action"
)

// TestImages sets both images by kustomize, in a copy of config.
func TestImages(t *testing.T) {
	t.Parallel()
	folder := checkout(t, "config")
	path := filepath.Join(folder, "config", "default", "kustomization.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = append(content, "images:\n- {name: "+controllerImage+", newName: r:5/c, newTag: v2}\n- {name: "+actionImage+", newName: r:5/a, newTag: v3}\n"...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before := images(kustomize(t, root(t), "config/default"))
	want := map[string]int{"r:5/c:v2": 1, "r:5/a:v3": before[actionImage+":"+version(t)]}
	if diff := cmp.Diff(want, images(kustomize(t, folder, "config/default"))); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// TestDist writes a release in a separate checkout, and checks its files.
func TestDist(t *testing.T) {
	t.Parallel()
	folder := checkout(t, "config", "Makefile", filepath.Join("test", "tools"))
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program(t, "HELM"), filepath.Join(folder, "bin", "helm")); err != nil {
		t.Fatal(err)
	}
	_, err := output(t, folder, "make", "dist", "VERSION=v9.8.7", "IMG=r:5/c:v2", "ACTION_IMG=r:5/a@sha256:3",
		"KUBECTL="+program(t, "KUBECTL"), "--old-file="+filepath.Join(folder, "bin", "helm"))
	if err != nil {
		t.Fatal(err)
	}
	dist := filepath.Join(folder, "dist")

	installer, err := os.ReadFile(filepath.Join(dist, "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	installed := decode(t, string(installer))
	actions := images(kustomize(t, root(t), "config/default"))[actionImage+":"+version(t)]
	want := map[string]int{"r:5/c:v2": 1, "r:5/a@sha256:3": actions}
	if diff := cmp.Diff(want, images(installed)); diff != "" {
		t.Errorf("images of install.yaml (-want +got):\n%s", diff)
	}
	for _, object := range installed {
		if got := object.GetLabels()["app.kubernetes.io/version"]; got != "v9.8.7" {
			t.Errorf("%s of install.yaml has version %q", key(object), got)
		}
	}

	rendered, err := output(t, folder, program(t, "HELM"), "template", "release", "dist/workflowexecution-9.8.7.tgz", "--namespace", systemNamespace)
	if err != nil {
		t.Fatal(err)
	}
	charted := decode(t, rendered)
	if diff := cmp.Diff(want, images(charted)); diff != "" {
		t.Errorf("images of the chart (-want +got):\n%s", diff)
	}
	if got := charted[0].GetLabels()["app.kubernetes.io/version"]; got != "v9.8.7" {
		t.Errorf("the chart installs version %q", got)
	}
	if _, err := output(t, dist, "sha256sum", "--check", "SHA256SUMS"); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff([]string{"SHA256SUMS", "grafana.yaml", "install.yaml", "network-policy.yaml", "policy.yaml", "prometheus.yaml", "uninstall.sh", "workflowexecution-9.8.7.tgz"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestVersions compares all versions in config with that of the Makefile.
func TestVersions(t *testing.T) {
	t.Parallel()
	want := version(t)
	var chart struct{ Version, AppVersion string }
	read(t, "config/chart/Chart.yaml", &chart)
	if chart.AppVersion != want || "v"+chart.Version != want {
		t.Errorf("the chart has version %s of %s, the Makefile %s", chart.Version, chart.AppVersion, want)
	}
	known := []string{controllerImage + ":" + want, actionImage + ":" + want}
	for image := range images(slices.Concat(kustomize(t, root(t), "config/default"), render(t, systemNamespace))) {
		if !slices.Contains(known, image) {
			t.Errorf("image %s is not of version %s", image, want)
		}
	}
}

// TestFlags compares the schema of the chart with the flags of the manager, except for the ports of the pod and a flag of the tests.
func TestFlags(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root(t), "cmd", "manager", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`\bf\.\w+Var\([^,]+, "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !slices.Contains([]string{"metrics-bind-address", "metrics-insecure", "health-probe-bind-address"}, match[1]) {
			want = append(want, match[1])
		}
	}
	var schema struct {
		Properties struct {
			Flags struct{ Properties map[string]any }
		}
	}
	read(t, "config/chart/values.schema.json", &schema)
	var got []string
	for name := range schema.Properties.Flags.Properties {
		if !strings.HasPrefix(name, "zap-") {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags of the schema (-manager +schema):\n%s", diff)
	}
}

// version returns the version in the Makefile.
func version(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^VERSION +\?= (v\S+)$`).FindSubmatch(content)
	if match == nil {
		t.Fatal("the Makefile contains no version")
	}
	return string(match[1])
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// checkout copies parts of the repository to a temporary folder.
func checkout(t *testing.T, parts ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, part := range parts {
		source, target := filepath.Join(root(t), part), filepath.Join(folder, part)
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(target, os.DirFS(source))
		} else {
			var content []byte
			if content, err = os.ReadFile(source); err == nil {
				err = os.WriteFile(target, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
