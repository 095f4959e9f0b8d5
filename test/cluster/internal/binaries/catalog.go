package binaries

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Module is a source of programs: a folder of pins, whose go.mod defines the version of an upstream module.
type Module struct {
	// Pin is the name of the folder in pins.
	Pin string
	// Path is the path of the upstream module. It is empty if the pin contains the source itself.
	Path string
	// Tags are the build tags.
	Tags []string
	// Variables are the string variables that the linker sets to the version of the module.
	Variables []string
	// Constants are other string variables that the linker sets, with their values.
	Constants map[string]string
	// Links maps symbolic links, which module archives omit, to their targets in the same folder.
	Links map[string]string
	// Files are files that a program embeds and the module archive omits, with their contents.
	Files map[string]string
}

// Program is one executable.
type Program struct {
	// Name is the name of the executable.
	Name string
	// Package is the import path of its main package.
	Package string
	// Module is the source of the program.
	Module *Module
}

const (
	clientVersion    = "k8s.io/client-go/pkg/version."
	componentVersion = "k8s.io/component-base/version."
	containerdModule = "github.com/containerd/containerd/v2"
	cniModule        = "github.com/containernetworking/plugins"
)

var (
	kubernetes = &Module{
		Pin:       "kubernetes",
		Path:      "k8s.io/kubernetes",
		Variables: []string{componentVersion + "gitVersion", clientVersion + "gitVersion"},
		Constants: map[string]string{
			componentVersion + "gitTreeState": "clean", componentVersion + "gitCommit": "unknown",
			clientVersion + "gitTreeState": "clean", clientVersion + "gitCommit": "unknown",
		},
	}
	etcd       = &Module{Pin: "etcd", Path: "go.etcd.io/etcd/server/v3"}
	containerd = &Module{
		Pin:       "containerd",
		Path:      containerdModule,
		Tags:      []string{"no_btrfs", "no_devmapper", "no_zfs"},
		Variables: []string{containerdModule + "/version.Version"},
	}
	cni = &Module{
		Pin:       "cni",
		Path:      cniModule,
		Variables: []string{cniModule + "/pkg/utils/buildversion.BuildVersion"},
	}
	kind  = &Module{Pin: "kind", Path: "sigs.k8s.io/kind"}
	kwok  = &Module{Pin: "kwok", Path: "sigs.k8s.io/kwok"}
	pause = &Module{Pin: "pause"}
)

// Kubernetes programs.
var (
	KubeAPIServer         = kubernetesProgram("kube-apiserver")
	KubeControllerManager = kubernetesProgram("kube-controller-manager")
	KubeScheduler         = kubernetesProgram("kube-scheduler")
	KubeProxy             = kubernetesProgram("kube-proxy")
	Kubelet               = kubernetesProgram("kubelet")
	Kubeadm               = kubernetesProgram("kubeadm")
	Kubectl               = kubernetesProgram("kubectl")
)

// Programs that a Kubernetes cluster needs in addition to its own.
var (
	Etcd           = Program{Name: "etcd", Package: "go.etcd.io/etcd/server/v3", Module: etcd}
	Containerd     = Program{Name: "containerd", Package: containerdModule + "/cmd/containerd", Module: containerd}
	ContainerdShim = Program{
		Name: "containerd-shim-runc-v2", Package: containerdModule + "/cmd/containerd-shim-runc-v2", Module: containerd,
	}
	Ctr          = Program{Name: "ctr", Package: containerdModule + "/cmd/ctr", Module: containerd}
	Bridge       = Program{Name: "bridge", Package: cniModule + "/plugins/main/bridge", Module: cni}
	PointToPoint = Program{Name: "ptp", Package: cniModule + "/plugins/main/ptp", Module: cni}
	Loopback     = Program{Name: "loopback", Package: cniModule + "/plugins/main/loopback", Module: cni}
	HostLocal    = Program{Name: "host-local", Package: cniModule + "/plugins/ipam/host-local", Module: cni}
	Pause        = Program{
		Name: "pause", Package: "github.com/kubernaut-io/workflowexecution/test/cluster/pins/pause", Module: pause,
	}
	// Kind needs a container engine.
	Kind = Program{Name: "kind", Package: "sigs.k8s.io/kind", Module: kind}
	// Kwok simulates nodes, for load tests and on machines that cannot run pods.
	Kwok = Program{Name: "kwok", Package: "sigs.k8s.io/kwok/cmd/kwok", Module: kwok}
)

func kubernetesProgram(name string) Program {
	return Program{Name: name, Package: "k8s.io/kubernetes/cmd/" + name, Module: kubernetes}
}

// ControlPlane lists the programs of a local cluster that run outside of pods, and the tools that set it up.
func ControlPlane() []Program {
	return []Program{
		KubeAPIServer, KubeControllerManager, KubeScheduler, Kubelet, Kubeadm, Kubectl,
		Etcd, Containerd, ContainerdShim, Bridge, Loopback, HostLocal, Pause,
	}
}

// SimulatedPlane lists the programs of a simulated cluster, and the tools that set it up.
func SimulatedPlane() []Program {
	return []Program{KubeAPIServer, KubeControllerManager, KubeScheduler, Kubeadm, Kubectl, Etcd, Kwok}
}

// KindNode lists the programs in the node image of kind.
func KindNode() []Program {
	return []Program{
		KubeAPIServer, KubeControllerManager, KubeScheduler, KubeProxy, Kubelet, Kubeadm, Kubectl,
		Etcd, Containerd, ContainerdShim, Ctr, PointToPoint, Loopback, HostLocal, Pause,
	}
}

// EnvtestAssets lists the programs that envtest of controller-runtime starts.
func EnvtestAssets() []Program {
	return []Program{KubeAPIServer, Etcd, Kubectl}
}

// Argo lists the controller and the executor of one major line of Argo Workflows, such as "v3".
func Argo(line string) []Program {
	module := argoModule(line)
	return []Program{
		{Name: "workflow-controller", Package: module.Path + "/cmd/workflow-controller", Module: module},
		{Name: "argoexec", Package: module.Path + "/cmd/argoexec", Module: module},
	}
}

// ArgoServer is the program of a major line of Argo Workflows whose subcommand "server" is the Argo server. It lacks the user interface,
// which is built by other tools than the go command and is not in the module archive.
func ArgoServer(line string) Program {
	module := argoModule(line)
	return Program{Name: "argo", Package: module.Path + "/cmd/argo", Module: module}
}

func argoModule(line string) *Module {
	upstream := "github.com/argoproj/argo-workflows/" + line
	return &Module{
		Pin:       "argo-" + line,
		Path:      upstream,
		Variables: []string{upstream + ".version"},
		Links:     map[string]string{"workflow/executor/osspecific/signal_linux.go": "signal_darwin.go"},
		Files:     map[string]string{"ui/dist/app/index.html": "<!DOCTYPE html><title>Argo</title><p>This server was built without its user interface.\n"},
	}
}

// output is the name that the go command gives to the executable.
func (p Program) output() string {
	folder, last := path.Split(p.Package)
	if majorVersion.MatchString(last) {
		return path.Base(folder)
	}
	return last
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// linkerFlags sets the version variables, and removes the debug tables, which are half of the size of a program.
func (m *Module) linkerFlags(version string) string {
	flags := []string{"-s", "-w"}
	for _, variable := range m.Variables {
		flags = append(flags, fmt.Sprintf("-X %s=%s", variable, version))
	}
	for _, variable := range sortedKeys(m.Constants) {
		flags = append(flags, fmt.Sprintf("-X %s=%s", variable, m.Constants[variable]))
	}
	return strings.Join(flags, " ")
}
