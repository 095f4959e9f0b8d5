// Package images writes images without a container engine. The image of a static executable has one layer, which contains the executable
// and an empty /tmp: no shell, no certificates, no user database. The same input results in the same bytes.
package images

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Request describes an image.
type Request struct {
	// Binary is the file of the static executable.
	Binary string
	// Name is the name of the image with its tag.
	Name string
	// Entrypoint is the path or name of the executable in the image. The default is the base name of Binary.
	Entrypoint string
	// User is the number of the user that the image runs as.
	User string
}

// FormatVersion is increased whenever the same request results in another image than before.
const FormatVersion = "1"

// epoch is the time of all files in an image, so that two builds have the same bytes.
var epoch = time.Unix(0, 0).UTC()

// WriteArchive writes an image as an archive for "docker load", containerd and kind.
func WriteArchive(request Request, file string) error {
	image, err := build(request, plainLayer)
	if err != nil {
		return fmt.Errorf("pack %s as image %s: %w", request.Binary, request.Name, err)
	}
	return Write(request.Name, image, file)
}

// Write writes an image as such an archive. The file appears when it is complete.
func Write(imageName string, image v1.Image, file string) error {
	if err := writeArchive(imageName, image, file); err != nil {
		return fmt.Errorf("write image %s: %w", imageName, err)
	}
	return nil
}

func writeArchive(imageName string, image v1.Image, file string) (err error) {
	tag, err := name.NewTag(imageName, name.StrictValidation)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".image-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, temporary.Close(), os.Remove(temporary.Name()))
		}
	}()
	if err := tarball.Write(tag, image, temporary); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

// build packs the binary in a layer, which pack creates from a tar archive.
func build(request Request, pack func(archive []byte) (v1.Layer, error)) (v1.Image, error) {
	if user, err := strconv.Atoi(request.User); err != nil || user < 0 {
		return nil, fmt.Errorf("user %q: it must be a number, because runAsNonRoot does not accept a name", request.User)
	}
	if err := requireStatic(request.Binary); err != nil {
		return nil, err
	}
	target := request.Entrypoint
	if target == "" {
		target = filepath.Base(request.Binary)
	}
	target = path.Join("/", target)
	archive, err := archiveBinary(request.Binary, target)
	if err != nil {
		return nil, err
	}
	layer, err := pack(archive)
	if err != nil {
		return nil, err
	}
	return FromLayer(layer, v1.Config{
		User:       request.User,
		Entrypoint: []string{target},
		WorkingDir: "/",
		// Manifests may contain the command without its folder.
		Env: []string{"PATH=" + strings.Join([]string{path.Dir(target), "/usr/local/bin", "/usr/bin", "/bin"}, ":")},
	})
}

// FromLayer creates an image of one layer for the architecture of this machine. The same layer and configuration result in the same bytes.
func FromLayer(layer v1.Layer, config v1.Config) (v1.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy() // it contains the identifier of the layer
	file.Created = v1.Time{Time: epoch}
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = config
	for i := range file.History {
		file.History[i] = v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "test/cluster image"}
	}
	return mutate.ConfigFile(image, file)
}

// requireStatic rejects programs that need libraries, because the image contains none.
func requireStatic(binary string) error {
	file, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("not a Linux executable: %w", err)
	}
	defer func() { _ = file.Close() }()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			return errors.New("linked dynamically: build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// plainLayer does not compress the layer, because archives are only copied within a machine.
func plainLayer(archive []byte) (v1.Layer, error) {
	return static.NewLayer(archive, types.DockerUncompressedLayer), nil
}

func archiveBinary(binary, target string) ([]byte, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	layer.Grow(len(content) + 1<<14)
	writer := tar.NewWriter(&layer)
	if err := writeFolders(writer, path.Dir(target)); err != nil {
		return nil, err
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(target, "/"), Mode: 0o755, Size: int64(len(content)), ModTime: epoch,
	}
	if err := writer.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := io.Copy(writer, bytes.NewReader(content)); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

func writeFolders(writer *tar.Writer, executables string) error {
	folders := []tar.Header{{Name: "tmp/", Mode: 0o1777}}
	if executables != "/" {
		folders = append(folders, tar.Header{Name: strings.TrimPrefix(executables, "/") + "/", Mode: 0o755})
	}
	for _, folder := range folders {
		folder.Typeflag, folder.ModTime = tar.TypeDir, epoch
		if err := writer.WriteHeader(&folder); err != nil {
			return err
		}
	}
	return nil
}
