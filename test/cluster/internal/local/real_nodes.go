//go:build linux

package local

import (
	"context"
	"net/netip"
	"strings"
)

// realNodes are the nodes that run pods, in the network namespace of the cluster.
type realNodes struct{ subnet netip.Prefix }

func newInfrastructure(cluster layout, options Options) (infrastructure, error) {
	if options.Simulated {
		return simulatedNodes{}, nil
	}
	return &realNodes{}, cluster.rejectMasked()
}

func (r *realNodes) nodes() []node { return nodes }

func (r *realNodes) setUp(s *starter) (err error) {
	for _, n := range nodes {
		if err := n.makeFolders(s.cluster); err != nil {
			return err
		}
	}
	if r.subnet, err = setUpNetwork(s.cluster); err != nil {
		return err
	}
	s.record.Subnet = r.subnet.String()
	// The port is that of the kubernetes service, because no service proxy translates ports.
	s.endpoints = endpoints{advertised: serverAddress(r.subnet), port: 443, etcd: 2379, etcdPeer: 2380}
	return nil
}

func (r *realNodes) inNetwork(cluster layout, run func() error) error {
	return onOwnThread(func() error {
		if err := enterNetwork(cluster); err != nil {
			return err
		}
		return run()
	})
}

func (r *realNodes) startRuntimes(s *starter, options Options) error {
	for _, n := range nodes {
		if err := n.startRuntime(s, options, r.subnet); err != nil {
			return err
		}
	}
	return nil
}

func (r *realNodes) importImages(ctx context.Context, s *starter, archives []string, report func(string, ...any)) error {
	names, err := importEverywhere(ctx, *s.record, archives)
	if err != nil {
		if ended := s.checkRunning(); ended != nil {
			return ended
		}
		return err
	}
	report("images %s", strings.Join(names, ", "))
	return nil
}

func (r *realNodes) startNodes(_ context.Context, s *starter) error {
	for _, n := range nodes {
		if err := n.startKubelet(s, r.subnet); err != nil {
			return err
		}
	}
	return nil
}
