package local

import (
	"context"
	"errors"
	"io"
)

// ErrUnsupported says that this machine can't run real pods.
var ErrUnsupported = errors.New("real pods can't run here")

// Options describe a cluster that is to run.
type Options struct {
	// Name is the cluster's name; names of network links and cgroups come from it.
	Name string
	// Folder is the parent folder of the clusters' folders.
	Folder string
	// Checkout is the root of the repository that the cluster belongs to: the cluster is swept when that is gone.
	Checkout string
	// Kubeconfig is the file that users' credentials are written to.
	Kubeconfig string
	// Executables maps the names of programs to their files and versions.
	Executables map[string]Executable
	// KubernetesVersion is the version of the control plane.
	KubernetesVersion string
	// Fingerprint tells clusters of other versions and settings apart: a running cluster of another one is replaced.
	Fingerprint string
	// PauseImage is the name of the image of pod sandboxes; it must be among Images.
	PauseImage string
	// Images are archives of images that the cluster starts with.
	Images []string
	// Fsync makes etcd wait for the disk. Off by default: nobody needs a test cluster after a power failure.
	Fsync bool
	// AuditPolicy is a policy file; with it the API server writes its audit log next to the other logs.
	AuditPolicy string
	// Simulated asks for a node that runs nothing, which needs no rights.
	Simulated bool
	// Programs are started at last, where no pod would run them.
	Programs []Program
	// Progress receives plain lines that say what happens.
	Progress io.Writer
}

// Executable is a program that the cluster starts.
type Executable struct{ File, Version string }

// Access is what an installation on the cluster may use. Its files belong to the cluster, so that they vanish with it even if the
// installation is killed.
type Access struct {
	// Kubeconfig holds the administrator's credentials.
	Kubeconfig string
	// Kubectl is the executable.
	Kubectl string
	// Scratch is a folder for temporary files.
	Scratch string
}

// Install installs something on a cluster that has just started. It must be repeatable.
type Install func(ctx context.Context, access Access) error

// Component is a line of the status table.
type Component struct {
	Name    string
	PID     int
	Version string
	Healthy bool
	Detail  string
}
