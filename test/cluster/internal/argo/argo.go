// Package argo installs Argo Workflows on any cluster, from the manifests in Argo's module and a few patches: the controller with the full
// CRDs, and no server. It grants no rights to workflows: their service accounts need the right to create and patch workflowtaskresults.
package argo

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"
)

// Namespace is the namespace of the controller.
const Namespace = "argo"

const readyTimeout = 3 * time.Minute

//go:embed overlay
var overlay embed.FS

// Installation contains the inputs of an installation.
type Installation struct {
	// Version is the version of Argo Workflows, which is also the tag of its images.
	Version string
	// Source is the folder of the module of Argo.
	Source string
	// Kubectl is the path of the executable.
	Kubectl string
	// AsProcess disables the metrics of the controller, whose port is free for only one process of a machine.
	AsProcess bool
	// Scratch is a folder for temporary files. The default is that of the system.
	Scratch string
}

// ControllerImage is the image of the controller.
func ControllerImage(version string) string { return "quay.io/argoproj/workflow-controller:" + version }

// ExecutorImage is the image of the init and wait containers of every step.
func ExecutorImage(version string) string { return "quay.io/argoproj/argoexec:" + version }

// ServerImage is the image of the Argo server, which Install leaves out.
func ServerImage(version string) string { return "quay.io/argoproj/argocli:" + version }

// Install applies the manifests and waits until the controller is ready. It may be repeated.
func (i Installation) Install(ctx context.Context, kubeconfig string) error {
	folder, err := os.MkdirTemp(i.Scratch, "argo-install-")
	if err != nil {
		return fmt.Errorf("install Argo Workflows: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := i.writeKustomization(folder); err != nil {
		return fmt.Errorf("install Argo Workflows: write the kustomization: %w", err)
	}
	apply := func(kustomization string) error {
		// The full CRDs are too large for the annotation of client-side apply.
		return i.kubectl(ctx, kubeconfig, "apply", "--server-side", "--force-conflicts", "-k", kustomization)
	}
	if err := apply(filepath.Join(folder, "manifests", "base", "crds", "full")); err != nil {
		return fmt.Errorf("install Argo Workflows: its CRDs: %w", err)
	}
	// The controller ends if its resources are not served when it starts, and the kubelet restarts it with increasing delays.
	if err := waitForResources(ctx, kubeconfig); err != nil {
		return fmt.Errorf("install Argo Workflows: wait for its resources: %w", err)
	}
	if err := apply(folder); err != nil {
		return fmt.Errorf("install Argo Workflows: %w", err)
	}
	err = i.kubectl(ctx, kubeconfig, "rollout", "status", "--namespace", Namespace, "--timeout", readyTimeout.String(), "deployment/workflow-controller")
	if err != nil {
		return fmt.Errorf("install Argo Workflows: wait for its controller: %w", err)
	}
	return nil
}

// writeKustomization copies the manifests of Argo, because a kustomization cannot refer to other folders by absolute paths.
func (i Installation) writeKustomization(folder string) error {
	if err := os.CopyFS(filepath.Join(folder, "manifests"), os.DirFS(filepath.Join(i.Source, "manifests"))); err != nil {
		return err
	}
	files, err := template.ParseFS(overlay, "overlay/*.yaml")
	if err != nil {
		return err
	}
	values := map[string]any{"AsProcess": i.AsProcess, "Namespace": Namespace, "Version": i.Version, "ExecutorImage": ExecutorImage(i.Version)}
	for _, file := range files.Templates() {
		var content bytes.Buffer
		if err := file.Execute(&content, values); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file.Name()), content.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (i Installation) kubectl(ctx context.Context, kubeconfig string, arguments ...string) error {
	command := exec.CommandContext(ctx, i.Kubectl, append([]string{"--kubeconfig", kubeconfig}, arguments...)...)
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("kubectl %s: %w\n%s", arguments[0], err, output)
}
