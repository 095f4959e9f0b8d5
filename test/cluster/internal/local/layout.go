package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
)

// layout contains the paths of the files of a cluster.
type layout struct {
	name   string
	folder string
}

func newLayout(parent, name string) layout {
	return layout{name: name, folder: filepath.Join(parent, name)}
}

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.folder}, parts...)...)
}

// acquire waits until no other command works on the cluster, and reports the wait.
func (l layout) acquire(ctx context.Context, progress io.Writer) (release func(), err error) {
	return filelock.Acquire(ctx, l.lock(), func() {
		fmt.Fprintf(progress, "waiting for another command on cluster %s …\n", l.name)
	})
}

func (l layout) lock() string                  { return l.folder + ".lock" }
func (l layout) failedLogs() string            { return l.folder + ".failed-logs" }
func (l layout) record() string                { return l.path("record.json") }
func (l layout) executable(name string) string { return l.path("bin", name) }
func (l layout) log(component string) string   { return l.path("logs", component+".log") }
func (l layout) pki(name string) string        { return l.path("pki", name) }
func (l layout) credentials(of string) string  { return l.path("credentials", of+".conf") }
func (l layout) config(name string) string     { return l.path("config", name) }
func (l layout) networkNamespace() string      { return l.path("netns") }

// hostLink is the name of a network link, which can have up to 15 characters.
func (l layout) hostLink() string { return l.name + "-h" }

// makeFolders creates the folders that the components need.
func (l layout) makeFolders() error {
	for _, folder := range []string{
		"bin", "logs", "pki", "credentials", "config", "etcd", "scratch",
	} {
		if err := os.MkdirAll(l.path(folder), 0o700); err != nil {
			return fmt.Errorf("create the folders of the cluster: %w", err)
		}
	}
	return nil
}

// rejectMasked rejects a folder that is not visible in the mount namespaces of the nodes.
func (l layout) rejectMasked() error {
	for mask := range masks {
		if l.folder == mask || strings.HasPrefix(l.folder, mask+"/") {
			return fmt.Errorf("the cache folder %s is in %s, which is another folder on the nodes of the cluster: set XDG_CACHE_HOME to a folder elsewhere",
				l.folder, mask)
		}
	}
	return nil
}
