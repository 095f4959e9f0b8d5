package local

import (
	"context"
	"fmt"
	"net/netip"
)

// machines are what a cluster runs on: nodes that run pods, or a simulated one.
type machines interface {
	nodes() []node
	// setUp makes what all else needs, and tells the starter where the control plane listens.
	setUp(s *starter) error
	// inNetwork runs a function that starts processes of the control plane.
	inNetwork(cluster layout, run func() error) error
	// startRuntimes starts what can start before the API server.
	startRuntimes(s *starter, options Options) error
	// importImages may take the time in which the API server starts.
	importImages(ctx context.Context, s *starter, archives []string, say func(string, ...any)) error
	// startNodes is called when the API server is ready.
	startNodes(ctx context.Context, s *starter) error
}

// place says where the control plane listens.
type place struct {
	// advertised is the address of the API server that certificates and the kubernetes service name.
	advertised netip.Addr
	port       uint16
	etcd       uint16
	etcdPeer   uint16
	// onLoopback is set if there is no network of the cluster's own.
	onLoopback bool
}

func (p place) etcdURL() string     { return fmt.Sprintf("https://127.0.0.1:%d", p.etcd) }
func (p place) etcdPeerURL() string { return fmt.Sprintf("https://127.0.0.1:%d", p.etcdPeer) }

// unserved lets components serve no health and metrics of their own where another cluster may have taken the usual ports.
func (p place) unserved() []string {
	if p.onLoopback {
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
