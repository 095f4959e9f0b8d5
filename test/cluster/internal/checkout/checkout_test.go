package checkout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindRoot(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	nested := filepath.Join(root, "test", "cluster", "internal")
	if err := os.MkdirAll(nested, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(folder, module string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte("// a comment\nmodule "+module+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if got, err := FindRoot(nested); err == nil {
		t.Errorf("FindRoot() without any go.mod = %q, want an error", got)
	}
	write(filepath.Join(root, "test", "cluster"), nestedModule)
	write(root, MainModule)
	for _, start := range []string{root, nested} {
		got, err := FindRoot(start)
		if err != nil || got != root {
			t.Errorf("FindRoot(%s) = %q, %v, want %q", start, got, err, root)
		}
	}
}

func TestClusterName(t *testing.T) {
	first, second := ClusterName("wfe", "/a/checkout"), ClusterName("wfe", "/another/checkout")
	if first == second {
		t.Errorf("two checkouts share the name %s", first)
	}
	if err := ValidateName(first); err != nil {
		t.Errorf("a derived name is rejected: %v", err)
	}
}

func TestValidateName(t *testing.T) {
	for name, reason := range map[string]string{
		"":                      "empty",
		"Upper":                 "upper case",
		"a/b":                   "a path",
		"..":                    "a path",
		"-a":                    "looks like a flag",
		strings.Repeat("a", 13): "too long for a network link's name",
	} {
		if ValidateName(name) == nil {
			t.Errorf("ValidateName(%q) accepts it, want an error: %s", name, reason)
		}
	}
}

func TestCacheFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "relative")
	if got, err := CacheFolder(); err == nil {
		t.Errorf("CacheFolder() = %q for a relative XDG_CACHE_HOME, want an error", got)
	}
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if got, err := CacheFolder(); err != nil || got != "/somewhere/workflowexecution" {
		t.Errorf("CacheFolder() = %q, %v", got, err)
	}
}
