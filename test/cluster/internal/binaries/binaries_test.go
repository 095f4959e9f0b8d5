package binaries

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allPrograms are all programs of the catalog.
func allPrograms() []Program {
	programs := append(append(ControlPlane(), KindNode()...), Kind, Kwok)
	for _, line := range []string{"v3", "v4"} {
		programs = append(append(programs, Argo(line)...), ArgoServer(line))
	}
	return programs
}

func TestPinsRequireEveryProgram(t *testing.T) {
	pins := filepath.Join("..", "..", "pins")
	for _, program := range allPrograms() {
		version, err := pinnedVersion(pins, program.Module)
		if err != nil {
			t.Errorf("pinnedVersion(%s): %v", program.Name, err)
			continue
		}
		if !strings.HasPrefix(version, "v") {
			t.Errorf("pinnedVersion(%s) = %q, want a version", program.Name, version)
		}
		if program.Module.Path == "" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(pins, program.Module.Pin, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		// "go mod tidy" keeps the dependencies of tools only.
		if !slices.Contains(strings.Fields(string(content)), program.Package) {
			t.Errorf("the pin %s does not name the tool %s", program.Module.Pin, program.Package)
		}
	}
}

func TestOutput(t *testing.T) {
	for name, test := range map[string]struct {
		program Program
		want    string
	}{
		"a package named like its program":       {KubeAPIServer, "kube-apiserver"},
		"a package that ends in a major version": {Etcd, "server"},
		"a module's root":                        {Kind, "kind"},
	} {
		if got := test.program.output(); got != test.want {
			t.Errorf("%s: output() = %q, want %q", name, got, test.want)
		}
	}
}

func TestCacheKey(t *testing.T) {
	pins := t.TempDir()
	pin := filepath.Join(pins, "sample")
	if err := os.Mkdir(pin, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(pin, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module sample\n")
	write("go.sum", "")

	module := Module{Pin: "sample", Path: "example.org/sample", Variables: []string{"main.version"}}
	program := Program{Name: "sample", Package: "example.org/sample/cmd", Module: &module}
	toolchain := Toolchain{Version: "go1.26.0", OS: "linux", Arch: "amd64"}
	key := func(program Program, version string, toolchain Toolchain) string {
		t.Helper()
		key, err := cacheKey(pins, program, version, toolchain)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	base := key(program, "v1.0.0", toolchain)
	if again := key(program, "v1.0.0", toolchain); again != base {
		t.Errorf("the same input has the keys %s and %s", base, again)
	}

	tagged, linked, filed, variable := module, module, module, module
	tagged.Tags = []string{"tag"}
	linked.Links = map[string]string{"a": "b"}
	filed.Files = map[string]string{"a": "b"}
	variable.Constants = map[string]string{"main.commit": "unknown"}
	newer := toolchain
	newer.Version = "go1.26.1"
	keys := map[string]string{
		"another version":             key(program, "v1.0.1", toolchain),
		"another toolchain":           key(program, "v1.0.0", newer),
		"another tag":                 key(Program{Name: "sample", Package: program.Package, Module: &tagged}, "v1.0.0", toolchain),
		"a restored link":             key(Program{Name: "sample", Package: program.Package, Module: &linked}, "v1.0.0", toolchain),
		"a restored file":             key(Program{Name: "sample", Package: program.Package, Module: &filed}, "v1.0.0", toolchain),
		"another variable":            key(Program{Name: "sample", Package: program.Package, Module: &variable}, "v1.0.0", toolchain),
		"another package":             key(Program{Name: "sample", Package: program.Package + "/x", Module: &module}, "v1.0.0", toolchain),
		"the input before the change": base,
	}
	write("go.sum", "example.org/dependency v1.0.0 h1:\n")
	keys["another go.sum"] = key(program, "v1.0.0", toolchain)

	seen := map[string]string{}
	for reason, key := range keys {
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have the same key", reason, other)
		}
		seen[key] = reason
	}
}

func TestLinkAll(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "assets")
	set := Set{
		"etcd":    {Program: Etcd, Path: "/cache/etcd"},
		"kubectl": {Program: Kubectl, Path: "/cache/kubectl"},
		"kubelet": {Program: Kubelet, Path: "/cache/kubelet"},
	}
	// The second call finds an existing folder, the third one a stale link.
	for _, target := range []string{"/cache/etcd", "/cache/etcd", "/cache/etcd-2"} {
		set["etcd"] = Built{Program: Etcd, Path: target}
		if err := LinkAll(folder, set, []Program{Etcd, Kubectl}); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 2 || entries[0].Name() != "etcd" || entries[1].Name() != "kubectl" {
			t.Errorf("the folder contains %v, want exactly the requested programs", entries)
		}
		if got, err := os.Readlink(filepath.Join(folder, "etcd")); err != nil || got != target {
			t.Errorf("the link of etcd has the target %q, %v, want %q", got, err, target)
		}
	}
}
