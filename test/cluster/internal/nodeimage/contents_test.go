package nodeimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
)

// kindFiles resemble the files in the module of kind, which have no modes.
var kindFiles = fstest.MapFS{
	containerdConfig:           {Data: []byte("[plugins]\n  sandbox_image = \"registry.k8s.io/pause:3.10\"\n  restrict_oom_score_adj = false\n")},
	"usr/local/bin/entrypoint": {Data: []byte("#!/bin/bash\n")},
	"kind/README.txt":          {Data: []byte("text\n")},
}

func programs(t *testing.T) binaries.Set {
	t.Helper()
	set := binaries.Set{}
	for _, program := range append(binaries.KindNode(), binaries.Kind) {
		file := filepath.Join(t.TempDir(), program.Name)
		if err := os.WriteFile(file, []byte(program.Name), 0o600); err != nil {
			t.Fatal(err)
		}
		set[program.Name] = binaries.Built{Program: program, Version: "v1.2.3", Path: file}
	}
	return set
}

func TestContents(t *testing.T) {
	image := filepath.Join(t.TempDir(), "pause.tar")
	if err := os.WriteFile(image, []byte("image"), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes, err := contents(t.Context(), kindFiles, programs(t), []archive{{name: "registry.k8s.io/pause:3.11", file: image}})
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	if err := writeTree(&layer, nodes); err != nil {
		t.Fatal(err)
	}
	headers, contents := readLayer(t, &layer)
	for name, want := range map[string]struct {
		mode    int64
		content string
	}{
		"usr/bin/kubelet":            {0o755, "kubelet"},
		"usr/local/bin/entrypoint":   {0o755, "#!/bin/bash\n"},
		"opt/cni/bin/ptp":            {0o755, "ptp"},
		"kind/README.txt":            {0o644, "text\n"},
		"kind/version":               {0o644, "v1.2.3"},
		"kind/images/pause.tar":      {0o644, "image"},
		"etc/containerd/config.toml": {0o644, "[plugins]\n  sandbox_image = \"registry.k8s.io/pause:3.11\"\n  restrict_oom_score_adj = true\n"},
	} {
		if header, found := headers[name]; !found || header.Mode != want.mode || contents[name] != want.content {
			t.Errorf("%s is %+v with %q, want mode %o and %q", name, header, contents[name], want.mode, want.content)
		}
	}
	for _, name := range []string{"etc/kube-proxy.yaml", "etc/systemd/system/kubelet.service.d/20-node.conf", "etc/cni/net.d/10-ptp.conflist"} {
		if _, found := headers[name]; !found {
			t.Errorf("%s is missing", name)
		}
	}
	if got := headers["etc/systemd/system/multi-user.target.wants/kubelet.service"]; got == nil || got.Linkname != "/etc/systemd/system/kubelet.service" {
		t.Errorf("the kubelet does not start with the node: %+v", got)
	}
	checkBaseSpec(t, contents["etc/containerd/cri-base.json"])
}

// readLayer also verifies that every file follows its folder.
func readLayer(t *testing.T, layer io.Reader) (headers map[string]*tar.Header, contents map[string]string) {
	t.Helper()
	headers, contents = map[string]*tar.Header{}, map[string]string{}
	for reader := tar.NewReader(layer); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if folder, _ := filepath.Split(strings.TrimSuffix(header.Name, "/")); folder != "" && headers[folder] == nil {
			t.Errorf("%s precedes its folder", header.Name)
		}
		if headers[header.Name] != nil {
			t.Errorf("the layer contains %s twice", header.Name)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		headers[header.Name], contents[header.Name] = header, string(content)
	}
}

func checkBaseSpec(t *testing.T, document string) {
	t.Helper()
	var spec struct {
		Process struct{ Rlimits []any }
		Hooks   struct{ CreateContainer []struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(document), &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Process.Rlimits) > 0 || len(spec.Hooks.CreateContainer) != 1 {
		t.Errorf("the base specification of containers is %+v, want one hook and no limits", spec)
	}
}

func TestAdaptRejectsAnUnknownConfiguration(t *testing.T) {
	pause := []archive{{name: "registry.k8s.io/pause:3.11"}}
	for name, test := range map[string]struct {
		nodes    []node
		archives []archive
	}{
		"no configuration": {nil, pause},
		"another spelling": {[]node{{path: containerdConfig, content: []byte("sandbox = \"x\"\nrestrict_oom_score_adj = false\n")}}, pause},
		"no pause image":   {[]node{{path: containerdConfig, content: kindFiles[containerdConfig].Data}}, nil},
	} {
		if err := adapt(test.nodes, test.archives); err == nil {
			t.Errorf("%s: adapt() accepts it", name)
		}
	}
}

func TestImageRequests(t *testing.T) {
	names := []string{
		"registry.k8s.io/kube-apiserver:v1.2.3", "registry.k8s.io/kube-controller-manager:v1.2.3", "registry.k8s.io/kube-scheduler:v1.2.3",
		"registry.k8s.io/kube-proxy:v1.2.3", "registry.k8s.io/coredns/coredns:v1.14.2", "registry.k8s.io/pause:3.11", "localhost:5000/etcd:3.6.8-0",
	}
	set := programs(t)
	requests, err := imageRequests(names, set)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, request := range requests {
		got[request.Name] = filepath.Base(request.Binary)
		if request.User != "0" {
			t.Errorf("%s runs as %s, but root owns its keys", request.Name, request.User)
		}
	}
	want := map[string]string{
		names[0]: "kube-apiserver", names[1]: "kube-controller-manager", names[2]: "kube-scheduler", names[5]: "pause", names[6]: "etcd",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("imageRequests() (-want +got):\n%s", diff)
	}
	if _, err := imageRequests(names[1:], set); err == nil {
		t.Error("imageRequests() accepts a control plane without an API server")
	}
}

func TestRecipeKey(t *testing.T) {
	set := programs(t)
	recipe := Recipe{Folder: t.TempDir(), Programs: set}
	name, err := recipe.Name()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, repository+":v1.2.3-") {
		t.Errorf("the image's name is %s", name)
	}
	if built, err := recipe.IsBuilt(); err != nil || built {
		t.Errorf("IsBuilt() = %t, %v, although the archive does not exist", built, err)
	}
	archive, err := recipe.Archive()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if built, err := recipe.IsBuilt(); err != nil || !built {
		t.Errorf("IsBuilt() = %t, %v, although the archive exists", built, err)
	}
	other := set[binaries.Kubelet.Name]
	other.Path += "-2"
	set[binaries.Kubelet.Name] = other
	if again, err := recipe.Name(); err != nil || again == name {
		t.Errorf("another kubelet results in the same image %s, %v", again, err)
	}
}

func TestRemoveUnwanted(t *testing.T) {
	root := t.TempDir()
	files := map[string]bool{
		"lib/systemd/system/multi-user.target.wants/getty.target":      false,
		"lib/systemd/system/sockets.target.wants/dbus.socket":          true,
		"lib/systemd/system/sockets.target.wants/systemd-udevd.socket": false,
		"etc/systemd/system/timers.target.wants/apt-daily.timer":       false,
		"usr/share/doc/bash/copyright":                                 false,
		"usr/bin/bash":                                                 true,
	}
	for name := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeUnwanted(root); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if _, err := os.Stat(filepath.Join(root, name)); errors.Is(err, fs.ErrNotExist) == want {
			t.Errorf("%s: %v, want it kept: %t", name, err, want)
		}
	}
}
