package binaries

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// ownSourceVersion is the version of programs whose source is the pin itself. The key distinguishes their states.
const ownSourceVersion = "v1"

// Toolchain is the version of the go command and the platform that it builds for.
type Toolchain struct {
	Version, OS, Arch string
}

// pinnedVersion reads the version of an upstream module from the go.mod of its pin.
func pinnedVersion(pins string, module *Module) (string, error) {
	if module.Path == "" {
		return ownSourceVersion, nil
	}
	file := filepath.Join(pins, module.Pin, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the pinned version of %s: %w", module.Path, err)
	}
	parsed, err := modfile.ParseLax(file, content, nil)
	if err != nil {
		return "", fmt.Errorf("read the pinned version of %s: %w", module.Path, err)
	}
	for _, require := range parsed.Require {
		if require.Mod.Path == module.Path {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("read the pinned version of %s: %s does not require it", module.Path, file)
}

// cacheKey hashes everything that determines the result of a build: the files of the pin, the flags and the toolchain.
func cacheKey(pins string, program Program, version string, toolchain Toolchain) (string, error) {
	module := program.Module
	hash := sha256.New()
	for _, part := range []string{
		program.Package, version, strings.Join(module.Tags, ","), module.linkerFlags(version),
		toolchain.Version, toolchain.OS, toolchain.Arch,
	} {
		fmt.Fprintf(hash, "%q\n", part)
	}
	for _, link := range sortedKeys(module.Links) {
		fmt.Fprintf(hash, "link %q %q\n", link, module.Links[link])
	}
	for _, file := range sortedKeys(module.Files) {
		fmt.Fprintf(hash, "file %q %q\n", file, module.Files[file])
	}
	if err := hashFiles(hash, filepath.Join(pins, module.Pin)); err != nil {
		return "", fmt.Errorf("hash the pin of %s: %w", program.Name, err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// hashFiles adds the names and contents of the files of a folder, in the order of their names.
func hashFiles(hash io.Writer, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "file %q %d\n", entry.Name(), len(content))
		if _, err := hash.Write(content); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](of map[K]V) []K {
	return slices.Sorted(maps.Keys(of))
}
