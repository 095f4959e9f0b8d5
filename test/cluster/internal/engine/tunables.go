package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// kernelSettings is where the kernel shows the machine's settings.
const kernelSettings = "/proc/sys"

// tunables are the settings of the whole machine that a node changes: the first ones its systemd, the others its kubelet.
var tunables = []string{
	"fs/file-max", "fs/nr_open", "fs/protected_fifos", "fs/protected_hardlinks", "fs/protected_regular", "fs/protected_symlinks",
	"kernel/core_uses_pid", "kernel/pid_max", "kernel/sysrq",
	"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys", "kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom",
}

// saveTunables writes down how the settings are. What a kernel does not have is left out.
func saveTunables(settings, file string) error {
	values := map[string]string{}
	for _, name := range tunables {
		value, err := os.ReadFile(filepath.Join(settings, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read a kernel setting: %w", err)
		}
		values[name] = string(value)
	}
	content, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// restoreTunables undoes what nodes have changed since, and does nothing where nothing was written down.
func restoreTunables(settings, file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore kernel settings: %w", err)
	}
	var values map[string]string
	if err := json.Unmarshal(content, &values); err != nil {
		return fmt.Errorf("restore kernel settings: %w", err)
	}
	for name, value := range values {
		setting := filepath.Join(settings, name)
		if now, err := os.ReadFile(setting); err == nil && string(now) == value {
			continue
		}
		if err := os.WriteFile(setting, []byte(value), 0o600); err != nil {
			return fmt.Errorf("restore kernel settings: %w", err)
		}
	}
	return nil
}
