// Package nodeimage builds a node image for kind, for machines that reach no image registry. The lower layer contains Debian packages, the
// upper layer the files of kind's base image and programs that were built from Go modules. Building needs root on Debian, for debootstrap,
// but no container engine. The image is for clusters of one node, and contains no name server and no storage provisioner.
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

// repository is the name of the image without its tag.
const repository = "localhost/workflowexecution/kind-node"

// recipeVersion is increased whenever the same inputs result in another image than before.
const recipeVersion = "1"

//go:embed files
var ownFiles embed.FS

// Recipe contains the inputs of an image. Images of different recipes have different names.
type Recipe struct {
	// Folder is the cache of archives.
	Folder string
	// Programs are those of binaries.KindNode, and kind. They need not be built for Name and Archive.
	Programs binaries.Set
}

// Name is the name of the image with its tag.
func (r Recipe) Name() (string, error) {
	key, err := r.key()
	return repository + ":" + r.kubernetesVersion() + "-" + key, err
}

// Archive is the path of the archive, whether it exists or not.
func (r Recipe) Archive() (string, error) {
	key, err := r.key()
	return filepath.Join(r.Folder, "node-"+r.kubernetesVersion()+"-"+key+".tar"), err
}

// IsBuilt reports whether the archive exists.
func (r Recipe) IsBuilt() (bool, error) {
	archive, err := r.Archive()
	if err != nil {
		return false, err
	}
	switch _, err := os.Stat(archive); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("find the node image: %w", err)
	}
	return true, nil
}

func (r Recipe) kubernetesVersion() string {
	return r.Programs[binaries.Kubelet.Name].Version
}

// key hashes everything that determines the contents of the image.
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
		return "", fmt.Errorf("hash the recipe of the node image: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}
