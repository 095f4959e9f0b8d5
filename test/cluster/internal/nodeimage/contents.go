package nodeimage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
)

// folders are the folders in which the units of kind and the container runtime expect programs.
var folders = map[string][]binaries.Program{
	"usr/bin":       {binaries.Kubeadm, binaries.Kubelet, binaries.Kubectl, binaries.KubeProxy},
	"usr/local/bin": {binaries.Containerd, binaries.ContainerdShim, binaries.Ctr},
	"opt/cni/bin":   {binaries.PointToPoint, binaries.Loopback, binaries.HostLocal},
}

// units are links that enable or disable units of systemd.
var units = map[string]string{
	"etc/systemd/system/multi-user.target.wants/containerd.service":       "/etc/systemd/system/containerd.service",
	"etc/systemd/system/multi-user.target.wants/kubelet.service":          "/etc/systemd/system/kubelet.service",
	"etc/systemd/system/multi-user.target.wants/undo-mount-hacks.service": "/etc/systemd/system/undo-mount-hacks.service",
	// This unit registers binary formats for the whole machine.
	"etc/systemd/system/systemd-binfmt.service": "/dev/null",
}

const containerdConfig = "etc/containerd/config.toml"

// contents lists the files of the upper layer: those of kind's base image, which are in a folder of its module, those of this package, the
// programs, and the archives of the images that kubeadm needs.
func contents(ctx context.Context, kindFiles fs.FS, programs binaries.Set, archives []archive) ([]node, error) {
	nodes, err := copyFiles(kindFiles, ".")
	if err != nil {
		return nil, fmt.Errorf("read the files of kind: %w", err)
	}
	own, err := copyFiles(ownFiles, "files")
	if err != nil {
		return nil, fmt.Errorf("read the files of the node: %w", err)
	}
	if err := adapt(nodes, archives); err != nil {
		return nil, err
	}
	spec, err := baseSpec(ctx)
	if err != nil {
		return nil, err
	}
	nodes = append(nodes, own...)
	nodes = append(nodes,
		node{path: "etc/containerd/cri-base.json", content: spec},
		node{path: "etc/systemd/journald.conf.d/10-kmsg.conf", content: []byte("[Journal]\nReadKMsg=no\n")},
		node{path: "kind/version", content: []byte(programs[binaries.Kubelet.Name].Version)},
	)
	for target, link := range units {
		nodes = append(nodes, node{path: target, link: link})
	}
	for folder, inside := range folders {
		for _, program := range inside {
			nodes = append(nodes, node{path: path.Join(folder, program.Name), source: programs.Path(program), executable: true})
		}
	}
	for _, each := range archives {
		nodes = append(nodes, node{path: "kind/images/" + filepath.Base(each.file), source: each.file})
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.path, b.path) })
	return nodes, nil
}

// copyFiles reads all files of a tree. Module archives have no modes, so files in a folder "bin" become executable.
func copyFiles(tree fs.FS, top string) ([]node, error) {
	var nodes []node
	err := fs.WalkDir(tree, top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		target := strings.TrimPrefix(strings.TrimPrefix(name, top), "/")
		if top == "." {
			target = name
		}
		nodes = append(nodes, node{path: target, content: content, executable: path.Base(path.Dir(target)) == "bin"})
		return nil
	})
	return nodes, err
}

// adapt changes the configuration of the container runtime: it uses the pause image of kubeadm, and does not need a capability that
// containers of some machines lack.
func adapt(nodes []node, archives []archive) error {
	index := slices.IndexFunc(nodes, func(each node) bool { return each.path == containerdConfig })
	if index < 0 {
		return fmt.Errorf("the base image of kind has no %s", containerdConfig)
	}
	lines := strings.Split(string(nodes[index].content), "\n")
	pause := slices.IndexFunc(archives, func(each archive) bool { return path.Base(repositoryOf(each.name)) == binaries.Pause.Name })
	if pause < 0 {
		return fmt.Errorf("no pause image among %v", archives)
	}
	for key, value := range map[string]string{
		"sandbox_image": fmt.Sprintf("%q", archives[pause].name), "restrict_oom_score_adj": "true",
	} {
		line := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), key+" =") })
		if line < 0 {
			return fmt.Errorf("%s of kind does not set %s", containerdConfig, key)
		}
		lines[line] = "  " + key + " = " + value
	}
	nodes[index].content = []byte(strings.Join(lines, "\n"))
	return nil
}

// baseSpec is the container specification that kind's base image gets from containerd during its build: the default, without limits and
// with the hook that hides the identity of the machine.
func baseSpec(ctx context.Context) ([]byte, error) {
	ctx = namespaces.WithNamespace(ctx, "default")
	spec, err := oci.GenerateSpecWithPlatform(ctx, nil, "linux/"+runtime.GOARCH, &containers.Container{})
	if err != nil {
		return nil, fmt.Errorf("generate the base specification of containers: %w", err)
	}
	spec.Process.Rlimits = nil
	spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/kind/bin/mount-product-files.sh"}}}
	var content bytes.Buffer
	if err := json.NewEncoder(&content).Encode(spec); err != nil {
		return nil, fmt.Errorf("generate the base specification of containers: %w", err)
	}
	return content.Bytes(), nil
}

// kindFilesFolder is the folder of the files of the base image in the module of kind.
func kindFilesFolder(module string) fs.FS {
	return os.DirFS(filepath.Join(module, "images", "base", "files"))
}
