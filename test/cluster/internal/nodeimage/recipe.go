// Package nodeimage makes the image of a node for kind where no image registry is reachable: Debian's packages below, and on top the
// files of kind's own base image and the programs that were built from Go modules. It needs root on Debian, for debootstrap, but no
// container engine. The image serves clusters of one node; it holds no name server and no storage provisioner.
package nodeimage

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
)

// repository is the image's name without its tag.
const repository = "localhost/workflowexecution/kind-node"

// recipeVersion changes whenever the same inputs would yield another image than before.
const recipeVersion = "1"

//go:embed files
var ownFiles embed.FS

// Recipe says what an image is made of. Another recipe has another name.
type Recipe struct {
	// Folder is where archives are cached.
	Folder string
	// Programs are those of binaries.KindNode, and kind. They need not be built to ask for the image's name.
	Programs binaries.Set
}

// Name is the image's name with its tag.
func (r Recipe) Name() (string, error) {
	key, err := r.key()
	return repository + ":" + r.kubernetesVersion() + "-" + key, err
}

// Archive is the file that the image is, or would be, in.
func (r Recipe) Archive() (string, error) {
	key, err := r.key()
	return filepath.Join(r.Folder, "node-"+r.kubernetesVersion()+"-"+key+".tar"), err
}

// IsBuilt tells whether the archive is there.
func (r Recipe) IsBuilt() (bool, error) {
	archive, err := r.Archive()
	if err != nil {
		return false, err
	}
	switch _, err := os.Stat(archive); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the node image: %w", err)
	}
	return true, nil
}

func (r Recipe) kubernetesVersion() string {
	return r.Programs[binaries.Kubelet.Name].Version
}

// key hashes everything that decides what the image holds.
func (r Recipe) key() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, recipeVersion, images.FormatVersion, debianKey())
	for _, name := range slices.Sorted(maps.Keys(r.Programs)) {
		fmt.Fprintln(hash, r.Programs[name].Path)
	}
	err := fs.WalkDir(ownFiles, "files", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := ownFiles.ReadFile(path)
		fmt.Fprintf(hash, "%s %q\n", path, content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the node image's recipe: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}
