//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestRemoveWaits removes a cgroup while a process in it is about to end.
func TestRemoveWaits(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("cgroups need root")
	}
	name := fmt.Sprintf("remove-waits-%d/inner", os.Getpid())
	if err := Make(name); err != nil {
		t.Fatal(err)
	}
	dying := exec.Command("sleep", "0.5")
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = dying.Wait() }()
	hierarchies, err := Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	joined := 0
	for _, hierarchy := range hierarchies {
		if os.WriteFile(filepath.Join(hierarchy, name, "cgroup.procs"), fmt.Append(nil, dying.Process.Pid), 0o600) == nil {
			joined++ // some hierarchies need settings before they accept a process
		}
	}
	if joined == 0 {
		t.Fatal("no hierarchy accepted the process")
	}
	started := time.Now()
	if err := Remove(filepath.Dir(name)); err != nil {
		t.Fatal(err)
	}
	if time.Since(started) < 100*time.Millisecond {
		t.Error("Remove() did not wait: the process was not in the cgroup")
	}
	for _, hierarchy := range hierarchies {
		if _, err := os.Stat(filepath.Join(hierarchy, filepath.Dir(name))); !os.IsNotExist(err) {
			t.Errorf("%s still exists", hierarchy)
		}
	}
}
