package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// staticExecutable is the smallest that passes for one: a header of a 64-bit Linux executable without any segment.
func staticExecutable(t *testing.T) string {
	t.Helper()
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	header[16], header[18], header[20] = 2, 62, 1
	header[52], header[54], header[58] = 64, 56, 64
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, header, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestArchivesAreReproducible(t *testing.T) {
	binary := staticExecutable(t)
	var archives [][]byte
	for range 2 {
		file := filepath.Join(t.TempDir(), "sub", "image.tar")
		if err := WriteArchive(Request{Binary: binary, Name: "example.org/program:v1", User: "65532"}, file); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(binary, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("packing the same binary twice results in different bytes")
	}
}

func TestLayoutsAreReproducible(t *testing.T) {
	binary := staticExecutable(t)
	request := Request{Binary: binary, Name: "example.org/program:v1", User: "65532"}
	folder := filepath.Join(t.TempDir(), "sub", "layout")
	var digests []v1.Hash
	for range 2 { // the second one replaces the first
		digest, err := WriteLayout(request, folder)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(binary, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("packing the same binary twice results in %s and %s", digests[0], digests[1])
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(manifest.Manifests); n != 1 {
		t.Fatalf("%d images", n)
	}
	if image := manifest.Manifests[0]; image.Digest != digests[0] || image.MediaType != types.OCIManifestSchema1 || image.Annotations[refName] != request.Name {
		t.Errorf("the layout names %+v", image)
	}
	image, err := index.Image(digests[0])
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	if diff := cmp.Diff([]string{"tmp/", "program"}, listFiles(t, content)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestArchiveContent(t *testing.T) {
	for name, test := range map[string]struct {
		entrypoint string
		want       []string
		files      []string
		path       string
	}{
		"named like the binary": {"", []string{"/program"}, []string{"tmp/", "program"}, "PATH=/:/usr/local/bin:/usr/bin:/bin"},
		"in a folder": {
			"bin/tool", []string{"/bin/tool"}, []string{"tmp/", "bin/", "bin/tool"}, "PATH=/bin:/usr/local/bin:/usr/bin:/bin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image.tar")
			request := Request{Binary: staticExecutable(t), Name: "example.org/program:v1", Entrypoint: test.entrypoint, User: "65532"}
			if err := WriteArchive(request, file); err != nil {
				t.Fatal(err)
			}
			image, err := tarball.ImageFromPath(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, config.Config.Entrypoint); diff != "" {
				t.Errorf("entrypoint (-want +got):\n%s", diff)
			}
			if config.Config.User != "65532" || config.Config.Env[0] != test.path {
				t.Errorf("user %q and environment %q, want 65532 and %s", config.Config.User, config.Config.Env, test.path)
			}
			layers, err := image.Layers()
			if err != nil || len(layers) != 1 {
				t.Fatalf("%d layers, %v, want one", len(layers), err)
			}
			content, err := layers[0].Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = content.Close() }()
			if diff := cmp.Diff(test.files, listFiles(t, content)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func listFiles(t *testing.T, archive io.Reader) []string {
	t.Helper()
	var names []string
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

func TestRefused(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	binary := staticExecutable(t)
	for reason, request := range map[string]Request{
		"runAsNonRoot does not accept the name of a user": {Binary: binary, Name: "example.org/program:v1", User: "nobody"},
		"a name without a tag is ambiguous":               {Binary: binary, Name: "example.org/program", User: "1"},
		"a script needs a shell":                          {Binary: script, Name: "example.org/program:v1", User: "1"},
		"the file does not exist":                         {Binary: binary + "-", Name: "example.org/program:v1", User: "1"},
	} {
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := WriteArchive(request, file); err == nil {
			t.Errorf("WriteArchive(%+v) succeeds, want an error: %s", request, reason)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("WriteArchive(%+v) leaves a file", request)
		}
	}
}

func TestLayerFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "layer.tar")
	want := []byte("the bytes of a layer")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	layer, err := LayerFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := Write("localhost/layered:v1", image, archive); err != nil {
		t.Fatal(err)
	}
	// The library checks digests and sizes against the bytes.
	read, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := read.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("the image has %d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(content)
	if err := errors.Join(err, content.Close()); err != nil || !bytes.Equal(want, got) {
		t.Errorf("the layer holds %q, %v", got, err)
	}
	id, err := layers[0].DiffID()
	if err != nil {
		t.Fatal(err)
	}
	if digest, _, err := v1.SHA256(bytes.NewReader(want)); err != nil || id != digest {
		t.Errorf("the layer is called %s, %v, want %s", id, err, digest)
	}
}
