package local

import (
	"fmt"
	"net/netip"
	"os"
)

// node is one of the cluster's machines, as far as pods can tell: a kubelet and a container runtime with files, cgroups and addresses
// of their own. All nodes are in the cluster's one network namespace, where each has a bridge for its pods.
type node struct {
	// name does not have to resolve.
	name  string
	index int
}

// nodes are all nodes; the control plane's address is that of the first one. The second is there for what is done to nodes: pods that
// leave one need another to go to.
var nodes = []node{{name: "local", index: 0}, {name: "local-2", index: 1}}

// masks are the folders that a node's mount namespace replaces by parts of the node's folder.
var masks = map[string]string{"/run": "run", "/var/lib": "var-lib", "/var/log": "var-log"}

// component is the name of this node's own one of a program that every node runs.
func (n node) component(program string) string { return program + "@" + n.name }

// path is a path in the node's part of the cluster's folder.
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

// cgroup is the parent of the pods' cgroups, in every hierarchy. No cluster can have a name with a dot in it.
func (n node) cgroup(l layout) string {
	if n.index == 0 {
		return l.name
	}
	return l.name + "." + n.name
}

func (n node) bridge() string    { return fmt.Sprintf("pods%d", n.index) }
func (n node) podSubnet() string { return fmt.Sprintf("10.244.%d.0/24", n.index) }

// address follows that of the host's end of the link.
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
			return fmt.Errorf("make the folders of node %s: %w", n.name, err)
		}
	}
	return nil
}
