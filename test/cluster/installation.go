package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/argo"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/checkout"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

// pauseImage differs from the usual name because the program differs, too.
const pauseImage = "localhost/workflowexecution/pause:v1"

// argoUser is the user of the published images of Argo.
const argoUser = "8737"

func (s *settings) clusters() string {
	return filepath.Join(s.cache, "clusters")
}

// argoImages are the images that Argo Workflows runs as pods, under the names that its manifests use.
func (s *settings) argoImages(built binaries.Set) []images.Request {
	return []images.Request{
		{Binary: built["workflow-controller"].Path, Name: argo.ControllerImage(s.argoVersion), Entrypoint: "bin/workflow-controller", User: argoUser},
		{Binary: built["argoexec"].Path, Name: argo.ExecutorImage(s.argoVersion), Entrypoint: "bin/argoexec", User: argoUser},
	}
}

// packImages writes the images that a cluster starts with. Each archive is cached next to the binary in it.
func packImages(requests []images.Request) ([]string, error) {
	var archives []string
	for _, request := range requests {
		archive := filepath.Join(filepath.Dir(request.Binary), "image-"+images.FormatVersion+".tar")
		if _, err := os.Stat(archive); errors.Is(err, fs.ErrNotExist) {
			err = images.WriteArchive(request, archive)
			if err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, fmt.Errorf("find the image %s: %w", request.Name, err)
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// argoInstallation describes the installation, except for its kubectl.
func (s *settings) argoInstallation(ctx context.Context) (argo.Installation, error) {
	source, err := binaries.ModuleFolder(ctx, checkout.Pins(s.root), s.argoPrograms()[0].Module)
	if err != nil {
		return argo.Installation{}, err
	}
	return argo.Installation{Version: s.argoVersion, Source: source}, nil
}

func executables(built binaries.Set, programs []binaries.Program) map[string]local.Executable {
	files := map[string]local.Executable{}
	for _, program := range programs {
		files[program.Name] = local.Executable{File: built.Path(program), Version: built[program.Name].Version}
	}
	return files
}

// fingerprint identifies the versions and settings of a cluster. A running cluster with another fingerprint is replaced.
func fingerprint(built binaries.Set, options local.Options) string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(built)) {
		fmt.Fprintln(hash, built[name].Path)
	}
	fmt.Fprintln(hash, images.FormatVersion, options.Fsync, options.AuditPolicy, options.Simulated)
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// status describes the components of the cluster, and Argo on it.
func (s *settings) status(ctx context.Context) ([]local.Component, error) {
	table, credentials, err := s.clusterStatus(ctx)
	if err != nil || len(table) == 0 {
		return nil, err
	}
	if s.mode == modeSimulated {
		// Argo's controller is a process there, and the table contains it.
		return table, nil
	}
	version, err := argo.CheckController(ctx, credentials)
	controller := local.Component{Name: "Argo Workflows", Version: version, Healthy: err == nil, Detail: "namespace " + argo.Namespace}
	if err != nil {
		controller.Detail = err.Error()
	}
	return append(table, controller), nil
}

func (s *settings) clusterStatus(ctx context.Context) (table []local.Component, credentials string, err error) {
	if s.mode != modeKind {
		table, err = local.Status(ctx, s.clusters(), s.name)
		return table, local.Credentials(s.clusters(), s.name), err
	}
	cluster, _, err := s.kindCluster(ctx)
	if err != nil {
		return nil, "", err
	}
	running, err := cluster.IsRunning(ctx)
	if err != nil || !running {
		return nil, "", err
	}
	return []local.Component{{Name: "kind", Healthy: true, Detail: "created"}}, s.kubeconfig, nil
}
