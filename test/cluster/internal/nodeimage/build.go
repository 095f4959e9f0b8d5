package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
)

// archive is the archive of an image that the node image contains.
type archive struct{ name, file string }

// controlPlane lists the programs that kubeadm runs as pods, and the program of their sandboxes. kube-proxy is a service of the node
// instead, because it needs nft of the node.
var controlPlane = []binaries.Program{
	binaries.KubeAPIServer, binaries.KubeControllerManager, binaries.KubeScheduler, binaries.Etcd, binaries.Pause,
}

// Build builds the image from the programs and from the folder of the module of kind, unless the archive exists.
func (r Recipe) Build(ctx context.Context, kindModule string, progress io.Writer) error {
	if err := Requirements(); err != nil {
		return err
	}
	release, err := filelock.Acquire(ctx, filepath.Join(r.Folder, "lock"), func() {
		fmt.Fprintln(progress, "waiting for another build of the node image …")
	})
	if err != nil {
		return err
	}
	defer release()
	if built, err := r.IsBuilt(); err != nil || built {
		return err
	}
	scratch := filepath.Join(r.Folder, "unfinished")
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("remove an unfinished node image: %w", err)
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return fmt.Errorf("build the node image: %w", err)
	}
	return errors.Join(r.build(ctx, kindModule, scratch, progress), os.RemoveAll(scratch))
}

func (r Recipe) build(ctx context.Context, kindModule, scratch string, progress io.Writer) error {
	if err := r.makeBase(ctx, scratch, progress); err != nil {
		return fmt.Errorf("build the base of the node image: %w", err)
	}
	fmt.Fprintln(progress, "packing the node image …")
	archives, err := r.packImages(ctx, scratch)
	if err != nil {
		return err
	}
	nodes, err := contents(ctx, kindFilesFolder(kindModule), r.Programs, archives)
	if err != nil {
		return fmt.Errorf("collect the files of the node image: %w", err)
	}
	top := filepath.Join(scratch, "node.tar")
	if err := writeLayer(top, nodes); err != nil {
		return fmt.Errorf("write the files of the node image: %w", err)
	}
	image, err := assemble(r.baseArchive(), top)
	if err != nil {
		return fmt.Errorf("assemble the node image: %w", err)
	}
	name, err := r.Name()
	if err != nil {
		return err
	}
	file, err := r.Archive()
	if err != nil {
		return err
	}
	return images.Write(name, image, file)
}

func writeLayer(file string, nodes []node) (err error) {
	handle, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	return writeTree(handle, nodes)
}

// assemble creates an image of the layers, with the same start command as the image of kind.
func assemble(layers ...string) (v1.Image, error) {
	image := empty.Image
	for _, file := range layers {
		layer, err := images.LayerFromFile(file)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		Env:        []string{"container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
		StopSignal: "SIGRTMIN+3",
	}
	return mutate.ConfigFile(image, config)
}

// packImages packs the control plane under the image names that kubeadm uses.
func (r Recipe) packImages(ctx context.Context, folder string) ([]archive, error) {
	output, err := exec.CommandContext(ctx, r.Programs.Path(binaries.Kubeadm),
		"config", "images", "list", "--kubernetes-version", r.kubernetesVersion()).Output()
	if err != nil {
		return nil, fmt.Errorf("list the images of kubeadm: %w", err)
	}
	requests, err := imageRequests(strings.Fields(string(output)), r.Programs)
	if err != nil {
		return nil, err
	}
	var archives []archive
	for _, request := range requests {
		file := filepath.Join(folder, filepath.Base(request.Binary)+".tar")
		if err := images.WriteArchive(request, file); err != nil {
			return nil, err
		}
		archives = append(archives, archive{name: request.Name, file: file})
	}
	return archives, nil
}

// imageRequests selects the images of the control plane from the list of kubeadm. They run as root, because root owns the keys.
func imageRequests(names []string, programs binaries.Set) ([]images.Request, error) {
	var requests []images.Request
	for _, program := range controlPlane {
		var found string
		for _, name := range names {
			if path.Base(repositoryOf(name)) == program.Name {
				found = name
			}
		}
		if found == "" {
			return nil, fmt.Errorf("kubeadm lists no image for %s: %s", program.Name, strings.Join(names, ", "))
		}
		requests = append(requests, images.Request{
			Binary: programs.Path(program), Name: found, Entrypoint: "usr/local/bin/" + program.Name, User: "0",
		})
	}
	return requests, nil
}

// repositoryOf is the name of an image without its tag.
func repositoryOf(name string) string {
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon]
	}
	return name
}
