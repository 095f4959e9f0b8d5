package local

import (
	"context"
	"errors"
	"io"
)

// ErrUnsupported means that this machine cannot run pods.
var ErrUnsupported = errors.New("this machine cannot run pods")

// Options describe a cluster.
type Options struct {
	// Name is the name of the cluster, from which names of network links and cgroups are derived.
	Name string
	// Folder contains the folders of all clusters.
	Folder string
	// Checkout is the root of the repository. A cluster whose checkout no longer exists is removed.
	Checkout string
	// Kubeconfig is the file for the credentials of users.
	Kubeconfig string
	// Executables maps the names of programs to their files and versions.
	Executables map[string]Executable
	// KubernetesVersion is the version of the control plane.
	KubernetesVersion string
	// Fingerprint identifies versions and settings. A running cluster with another fingerprint is replaced.
	Fingerprint string
	// PauseImage is the name of the image of pod sandboxes, which Images must contain.
	PauseImage string
	// Images are the image archives that the cluster starts with.
	Images []string
	// Fsync makes etcd wait for the disk. It is off by default, because a test cluster need not survive a power failure.
	Fsync bool
	// AuditPolicy is a file with an audit policy, with which the API server writes an audit log next to the other logs.
	AuditPolicy string
	// Simulated selects a node that runs nothing, which needs no rights.
	Simulated bool
	// Programs are Deployments that run as processes of a simulated cluster.
	Programs []Program
	// Progress receives lines of text about the progress.
	Progress io.Writer
}

// Executable is a program that the cluster starts.
type Executable struct{ File, Version string }

// Access contains the files that an installation on the cluster may use. They are in the folder of the cluster, so that they are removed with
// it even if the installation is killed.
type Access struct {
	// Kubeconfig contains the credentials of the administrator.
	Kubeconfig string
	// Kubectl is the path of the executable.
	Kubectl string
	// Scratch is a folder for temporary files.
	Scratch string
}

// Install installs software on a new cluster.
type Install func(ctx context.Context, access Access) error

// Component is a line of the status table.
type Component struct {
	Name    string
	PID     int
	Version string
	Healthy bool
	Detail  string
}
