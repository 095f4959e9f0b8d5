package images

import (
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fileLayer is an uncompressed layer in a file. The layers of the library are compressed, which takes longer than copying.
type fileLayer struct {
	file   string
	digest v1.Hash
	size   int64
}

// LayerFromFile creates a layer from a tar archive, which must exist while the layer is used.
func LayerFromFile(file string) (v1.Layer, error) {
	content, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read a layer: %w", err)
	}
	defer func() { _ = content.Close() }()
	digest, size, err := v1.SHA256(content)
	if err != nil {
		return nil, fmt.Errorf("read the layer %s: %w", file, err)
	}
	return fileLayer{file: file, digest: digest, size: size}, nil
}

// Digest implements v1.Layer.
func (l fileLayer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer.
func (l fileLayer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Compressed implements v1.Layer.
func (l fileLayer) Compressed() (io.ReadCloser, error) { return os.Open(l.file) }

// Uncompressed implements v1.Layer.
func (l fileLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.file) }

// Size implements v1.Layer.
func (l fileLayer) Size() (int64, error) { return l.size, nil }

// MediaType implements v1.Layer.
func (l fileLayer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }
