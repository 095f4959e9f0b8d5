package filelock

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
	release, err := Acquire(t.Context(), path, func() { t.Error("Acquire() waits although the lock is free") })
	if err != nil {
		t.Fatal(err)
	}

	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	waited := 0
	if _, err := Acquire(short, path, func() { waited++ }); err == nil {
		t.Error("two holders of one lock")
	}
	if waited != 1 {
		t.Errorf("onWait was called %d times, want once", waited)
	}

	// A holder that removes the file must not let two others in, one on the old and one on the new file.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	release()
	release, err = Acquire(t.Context(), path, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if file, err := try(path); err != nil || file != nil {
		t.Errorf("try() = %v, %v while the lock is held, want neither", file, err)
	}
}

func TestIsCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	check := func(want bool, reason string) {
		t.Helper()
		if got, err := isCurrent(file, path); err != nil || got != want {
			t.Errorf("isCurrent() = %t, %v, want %t: %s", got, err, want, reason)
		}
	}
	check(true, "nothing happened to the file")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(false, "the file was removed")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(false, "another file took its place")
}
