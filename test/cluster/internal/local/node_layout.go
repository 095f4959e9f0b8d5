package local

import (
	"fmt"
	"net/netip"
	"os"
)

// node is a node of the cluster: a kubelet and a container runtime with their own files, cgroups and addresses. All nodes are in the network
// namespace of the cluster, where each has a bridge for its pods.
type node struct {
	// name need not resolve to an address.
	name  string
	index int
}

// nodes are all nodes of a cluster with real pods. The address of the first is that of the control plane. The second takes the pods of a node
// that is drained.
var nodes = []node{{name: "local", index: 0}, {name: "local-2", index: 1}}

// masks maps folders of the mount namespace of a node to the parts of its folder that are mounted over them.
var masks = map[string]string{"/run": "run", "/var/lib": "var-lib", "/var/log": "var-log"}

// component is the component name of a program that runs on every node.
func (n node) component(program string) string { return program + "@" + n.name }

// path is a path in the folder of the node.
func (n node) path(l layout, parts ...string) string {
	return l.path(append([]string{"nodes", n.name}, parts...)...)
}

func (n node) config(l layout, name string) string { return n.path(l, "config", name) }
func (n node) credentials(l layout) string {
	if n.index == 0 {
		return l.credentials("kubelet")
	}
	return n.path(l, "kubelet.conf")
}

// cgroup is the parent of the cgroups of pods, in every hierarchy. The name of a cluster cannot contain a dot.
func (n node) cgroup(l layout) string {
	if n.index == 0 {
		return l.name
	}
	return l.name + "." + n.name
}

func (n node) bridge() string    { return fmt.Sprintf("pods%d", n.index) }
func (n node) podSubnet() string { return fmt.Sprintf("10.244.%d.0/24", n.index) }

// address is counted from the address of the host in the same network.
func (n node) address(subnet netip.Prefix) netip.Addr {
	address := hostAddress(subnet)
	for range n.index + 1 {
		address = address.Next()
	}
	return address
}

func (n node) makeFolders(l layout) error {
	for _, folder := range []string{"config/cni", "run/containerd", "var-lib/kubelet", "var-lib/containerd", "var-log"} {
		if err := os.MkdirAll(n.path(l, folder), 0o700); err != nil {
			return fmt.Errorf("create the folders of node %s: %w", n.name, err)
		}
	}
	return nil
}
