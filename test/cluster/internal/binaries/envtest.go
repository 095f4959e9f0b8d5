package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// EnvtestFolder returns a folder with exactly the programs that envtest of controller-runtime starts, for KUBEBUILDER_ASSETS.
func (c *Cache) EnvtestFolder(ctx context.Context) (string, error) {
	programs := EnvtestAssets()
	set, err := c.Ensure(ctx, programs)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, program := range programs {
		fmt.Fprintln(hash, set.Path(program))
	}
	folder := filepath.Join(c.Folder, "envtest", set[KubeAPIServer.Name].Version+"-"+hex.EncodeToString(hash.Sum(nil))[:12])
	if err := LinkAll(folder, set, programs); err != nil {
		return "", err
	}
	return folder, nil
}

// LinkAll creates a folder with a symbolic link to each of the programs. It may be repeated, and called by several processes at the same time.
func LinkAll(folder string, set Set, programs []Program) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("link binaries: %w", err)
	}
	for _, program := range programs {
		link := filepath.Join(folder, program.Name)
		if target, err := os.Readlink(link); err == nil && target == set.Path(program) {
			continue
		}
		temporary := fmt.Sprintf("%s/../.link-%s-%d", folder, program.Name, os.Getpid())
		if err := os.Symlink(set.Path(program), temporary); err != nil {
			return fmt.Errorf("link binaries: %w", err)
		}
		if err := os.Rename(temporary, link); err != nil {
			return fmt.Errorf("link binaries: %w", err)
		}
	}
	return nil
}
