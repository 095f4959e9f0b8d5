package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// kernelSettings is the folder of the settings of the kernel.
const kernelSettings = "/proc/sys"

// tunables are the settings of the whole machine that a node changes. systemd changes those of the first two lines, the kubelet the others.
var tunables = []string{
	"fs/file-max", "fs/nr_open", "fs/protected_fifos", "fs/protected_hardlinks", "fs/protected_regular", "fs/protected_symlinks",
	"kernel/core_uses_pid", "kernel/pid_max", "kernel/sysrq",
	"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys", "kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom",
}

// saveTunables writes the current settings to a file. It leaves out settings that the kernel does not have.
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

// restoreTunables restores the settings of the file. It does nothing if the file does not exist.
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
