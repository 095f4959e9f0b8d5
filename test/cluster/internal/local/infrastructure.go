package local

import (
	"context"
	"fmt"
	"net/netip"
)

// infrastructure is what a cluster runs on: nodes that run pods, or a simulated node.
type infrastructure interface {
	nodes() []node
	// setUp creates folders and the network, and sets the endpoints of the starter.
	setUp(s *starter) error
	// inNetwork calls a function in the network of the control plane.
	inNetwork(cluster layout, run func() error) error
	// startRuntimes starts the components that need no API server.
	startRuntimes(s *starter, options Options) error
	// importImages runs while the API server starts.
	importImages(ctx context.Context, s *starter, archives []string, report func(string, ...any)) error
	// startNodes runs when the API server is ready.
	startNodes(ctx context.Context, s *starter) error
}

// endpoints are the addresses and ports on which the control plane listens.
type endpoints struct {
	// advertised is the address of the API server in certificates and in the kubernetes service.
	advertised netip.Addr
	port       uint16
	etcd       uint16
	etcdPeer   uint16
	// onLoopback is set if the cluster has no network namespace.
	onLoopback bool
}

func (e endpoints) etcdURL() string     { return fmt.Sprintf("https://127.0.0.1:%d", e.etcd) }
func (e endpoints) etcdPeerURL() string { return fmt.Sprintf("https://127.0.0.1:%d", e.etcdPeer) }

// withoutServing disables the health and metrics endpoints of a component if another cluster may use the same ports.
func (e endpoints) withoutServing() []string {
	if e.onLoopback {
		return []string{"--secure-port=0"}
	}
	return nil
}

func names(nodes []node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.name)
	}
	return all
}
