package images

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation with the name of an image in a layout.
const refName = "org.opencontainers.image.ref.name"

// WriteLayout writes an image as an OCI image layout, in a folder that contains nothing else, and returns the digest that the image has in
// a registry. Tools that push images read such folders.
func WriteLayout(request Request, folder string) (v1.Hash, error) {
	digest, err := writeLayout(request, folder)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("pack %s as image %s: %w", request.Binary, request.Name, err)
	}
	return digest, nil
}

func writeLayout(request Request, folder string) (v1.Hash, error) {
	image, err := build(request, compressedLayer)
	if err != nil {
		return v1.Hash{}, err
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	digest, err := image.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return v1.Hash{}, err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(folder), ".layout-*")
	if err != nil {
		return v1.Hash{}, err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	written, err := layout.Write(temporary, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := written.AppendImage(image, layout.WithAnnotations(map[string]string{refName: request.Name})); err != nil {
		return v1.Hash{}, err
	}
	if err := os.RemoveAll(folder); err != nil {
		return v1.Hash{}, err
	}
	return digest, os.Rename(temporary, folder)
}

// compressedLayer is for registries. The same archive and the same version of Go result in the same bytes.
func compressedLayer(archive []byte) (v1.Layer, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
