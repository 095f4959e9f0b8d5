package kind

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		ownNode bool
		patches int
		reason  string
	}{
		"kind's own node": {false, 2, "it installs a network and a service proxy from images"},
		"our node image":  {true, 3, "it contains them, and cannot pull others"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := config(test.ownNode)
			if err != nil {
				t.Fatal(err)
			}
			var parsed struct {
				Kind, APIVersion string
				Networking       struct {
					DisableDefaultCNI bool
					KubeProxyMode     string
				}
				KubeadmConfigPatches []string
			}
			if err := yaml.UnmarshalStrict(content, &parsed); err != nil {
				t.Fatalf("%v:\n%s", err, content)
			}
			if parsed.Networking.DisableDefaultCNI != test.ownNode || len(parsed.KubeadmConfigPatches) != test.patches {
				t.Errorf("the configuration is %+v: %s", parsed, test.reason)
			}
			for _, patch := range parsed.KubeadmConfigPatches {
				if err := yaml.Unmarshal([]byte(patch), &map[string]any{}); err != nil {
					t.Errorf("patch %q: %v", patch, err)
				}
			}
		})
	}
}

// fakeKind is a script in place of kind.
func fakeKind(t *testing.T, script string) Cluster {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "kind")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return Cluster{
		Name: "wfe-1", Kind: file, Kubeconfig: filepath.Join(folder, ".cluster", "kind-kubeconfig"), Environment: os.Environ(), Progress: &strings.Builder{},
	}
}

func TestCreateNamesTheRemedyWithoutARegistry(t *testing.T) {
	cluster := fakeKind(t, `[ "$1" = get ] || { echo 'ERROR: failed to create cluster: failed to pull image "kindest/node"' >&2; exit 1; }`)
	if err := cluster.Create(t.Context()); !errors.Is(err, ErrNoImage) {
		t.Errorf("Create() = %v, want ErrNoImage", err)
	}
	cluster = fakeKind(t, `[ "$1" = get ] || { echo 'ERROR: node exited' >&2; exit 1; }`)
	if err := cluster.Create(t.Context()); err == nil || errors.Is(err, ErrNoImage) {
		t.Errorf("Create() = %v, want another failure", err)
	}
}

func TestCreateLeavesARunningClusterAlone(t *testing.T) {
	cluster := fakeKind(t, `case "$1" in get) echo wfe-1;; create) exit 1;; esac`)
	if err := cluster.Create(t.Context()); err != nil {
		t.Errorf("Create() = %v although the cluster exists", err)
	}
}

func TestDeleteRemovesTheKubeconfig(t *testing.T) {
	cluster := fakeKind(t, "")
	folder := filepath.Dir(cluster.Kubeconfig)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cluster.Kubeconfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the kubeconfig still exists: %v", err)
	}
}
