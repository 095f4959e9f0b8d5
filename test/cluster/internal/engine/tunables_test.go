package engine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTunablesAreRestored(t *testing.T) {
	settings, file := t.TempDir(), filepath.Join(t.TempDir(), "tunables.json")
	panicking := filepath.Join(settings, "kernel", "panic")
	if err := os.MkdirAll(filepath.Dir(panicking), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(value string) {
		t.Helper()
		if err := os.WriteFile(panicking, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1\n")
	if err := restoreTunables(settings, file); err != nil {
		t.Errorf("restoreTunables() = %v although nothing was saved", err)
	}
	if err := saveTunables(settings, file); err != nil {
		t.Fatal(err)
	}
	write("10\n")
	if err := restoreTunables(settings, file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(panicking); err != nil || string(got) != "1\n" {
		t.Errorf("the setting is %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(settings, "fs")); err == nil {
		t.Error("restoreTunables() created a setting that the kernel does not have")
	}
}
