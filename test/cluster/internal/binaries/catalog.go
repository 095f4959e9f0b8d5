package binaries

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Module is a source of programs: one folder of pins, whose go.mod fixes the version of one upstream module.
type Module struct {
	// Pin is the folder's name below pins.
	Pin string
	// Path is the upstream module's path, empty when the pin holds the source itself.
	Path string
	// Tags are the build tags.
	Tags []string
	// Variables name the string variables that the linker sets to the module's version.
	Variables []string
	// Constants are further variables for the linker, with their values.
	Constants map[string]string
	// Links maps symbolic links that module archives leave out to the file in the same folder that they point to.
	Links map[string]string
	// Files are files that a program embeds and that module archives leave out, with their contents.
	Files map[string]string
}

// Program is one executable.
type Program struct {
	// Name is the name of the executable.
	Name string
	// Package is the import path of its main package.
	Package string
	// Module is where it comes from.
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

// Programs that a Kubernetes cluster needs besides its own.
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
	// Kind is used where a container engine runs.
	Kind = Program{Name: "kind", Package: "sigs.k8s.io/kind", Module: kind}
	// Kwok plays nodes, for load and where no pods can run.
	Kwok = Program{Name: "kwok", Package: "sigs.k8s.io/kwok/cmd/kwok", Module: kwok}
)

func kubernetesProgram(name string) Program {
	return Program{Name: name, Package: "k8s.io/kubernetes/cmd/" + name, Module: kubernetes}
}

// ControlPlane lists what runs outside of pods, and the tools that set it up.
func ControlPlane() []Program {
	return []Program{
		KubeAPIServer, KubeControllerManager, KubeScheduler, Kubelet, Kubeadm, Kubectl,
		Etcd, Containerd, ContainerdShim, Bridge, Loopback, HostLocal, Pause,
	}
}

// SimulatedPlane lists what runs where pods do nothing, and the tools that set it up.
func SimulatedPlane() []Program {
	return []Program{KubeAPIServer, KubeControllerManager, KubeScheduler, Kubeadm, Kubectl, Etcd, Kwok}
}

// KindNode lists what the image of kind's nodes is made of, besides kind itself.
func KindNode() []Program {
	return []Program{
		KubeAPIServer, KubeControllerManager, KubeScheduler, KubeProxy, Kubelet, Kubeadm, Kubectl,
		Etcd, Containerd, ContainerdShim, Ctr, PointToPoint, Loopback, HostLocal, Pause,
	}
}

// EnvtestAssets lists what controller-runtime's envtest starts.
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

// ArgoServer is the command of a major line of Argo Workflows whose subcommand "server" is the Argo server. It has no user interface:
// that is made by other tools than the go command, and module archives leave it out.
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

// output is the name that the go command gives to the executable of a package.
func (p Program) output() string {
	folder, last := path.Split(p.Package)
	if majorVersion.MatchString(last) {
		return path.Base(folder)
	}
	return last
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// linkerFlags strips debug tables, because nobody debugs these programs and they halve in size, and sets the version variables.
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
