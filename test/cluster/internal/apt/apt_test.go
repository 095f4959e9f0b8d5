package apt

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestForbidStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy-rc.d")
	restore, err := forbidStarts(file)
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := exec.Command(file, "docker", "start").Run(); !errors.As(err, &exit) || exit.ExitCode() != 101 {
		t.Errorf("the policy ends with %v, want 101", err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the policy still exists: %v", err)
	}
}

func TestForbidStartsKeepsAnExistingPolicy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy-rc.d")
	const existing = "#!/bin/sh\nexit 0\n"
	if err := os.WriteFile(file, []byte(existing), 0o600); err != nil {
		t.Fatal(err)
	}
	restore, err := forbidStarts(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != existing {
		t.Errorf("the policy is now %q, %v", content, err)
	}
}
