package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
)

const (
	// Image is the name of the image.
	Image = "localhost/workflowexecution/postgres:v1"
	// user is the user of the database, which does not run as root and needs the name of its user.
	user = "65532"
	// format is increased whenever the same files result in another image than before.
	format = "2"
)

// Archive returns the archive of the image in a folder, and writes it if it is missing.
func Archive(ctx context.Context, folder string, progress io.Writer) (string, error) {
	found, err := find(ctx, progress)
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	release, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", "postgresql-"+found.version).Output()
	if err != nil {
		return "", fmt.Errorf("get the version of PostgreSQL: %w", err)
	}
	archive := filepath.Join(folder, fmt.Sprintf("postgres-%s-%s.tar", strings.ReplaceAll(string(release), "/", "-"), format))
	if _, err := os.Stat(archive); !errors.Is(err, fs.ErrNotExist) {
		return archive, err
	}
	if err := found.write(ctx, folder, archive); err != nil {
		return "", fmt.Errorf("pack PostgreSQL %s as an image: %w", release, err)
	}
	return archive, nil
}

// write writes a layer to a scratch folder, and the image with this layer to the archive.
func (i installation) write(ctx context.Context, folder, archive string) (err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(folder, ".postgres-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	files, err := i.files(ctx)
	if err != nil {
		return err
	}
	account := filepath.Join(scratch, "etc", "passwd")
	if err := os.MkdirAll(filepath.Dir(account), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(account, []byte("postgres:x:"+user+":"+user+"::/:/bin/sh\n"), 0o600); err != nil {
		return err
	}
	layer := filepath.Join(scratch, "layer.tar")
	command := exec.CommandContext(ctx, "tar", "--create", "--file", layer, "--sort=name", "--mtime=@0", "--owner=0", "--group=0",
		"--numeric-owner", "--mode=a+r", "--dereference", "--directory", scratch, "etc/passwd", "--directory", "/", "--files-from=-")
	command.Stdin = strings.NewReader(strings.ReplaceAll(strings.Join(files, "\n"), "\n/", "\n")[1:] + "\n")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	packed, err := images.LayerFromFile(layer)
	if err != nil {
		return err
	}
	image, err := images.FromLayer(packed, v1.Config{
		User: user, Entrypoint: []string{"postgres"}, Env: []string{"PATH=" + filepath.Join(i.library, "bin") + ":/bin"},
	})
	if err != nil {
		return err
	}
	return images.Write(Image, image, archive)
}
