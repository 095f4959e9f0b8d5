//go:build linux

package local

import (
	"context"
	"net/netip"
	"strings"
)

// realMachines run pods, in a network namespace of the cluster.
type realMachines struct{ subnet netip.Prefix }

func newMachines(cluster layout, options Options) (machines, error) {
	if options.Simulated {
		return simulatedMachines{}, nil
	}
	return &realMachines{}, cluster.refuseMasked()
}

func (r *realMachines) nodes() []node { return nodes }

func (r *realMachines) setUp(s *starter) (err error) {
	for _, n := range nodes {
		if err := n.makeFolders(s.cluster); err != nil {
			return err
		}
	}
	if r.subnet, err = setUpNetwork(s.cluster); err != nil {
		return err
	}
	s.record.Subnet = r.subnet.String()
	// The port is the one of the kubernetes service, because nothing translates ports.
	s.place = place{advertised: serverAddress(r.subnet), port: 443, etcd: 2379, etcdPeer: 2380}
	return nil
}

func (r *realMachines) inNetwork(cluster layout, run func() error) error {
	return onOwnThread(func() error {
		if err := enterNetwork(cluster); err != nil {
			return err
		}
		return run()
	})
}

func (r *realMachines) startRuntimes(s *starter, options Options) error {
	for _, n := range nodes {
		if err := n.startRuntime(s, options, r.subnet); err != nil {
			return err
		}
	}
	return nil
}

func (r *realMachines) importImages(ctx context.Context, s *starter, archives []string, say func(string, ...any)) error {
	names, err := importEverywhere(ctx, *s.record, archives)
	if err != nil {
		if ended := s.checkRunning(); ended != nil {
			return ended
		}
		return err
	}
	say("images %s", strings.Join(names, ", "))
	return nil
}

func (r *realMachines) startNodes(_ context.Context, s *starter) error {
	for _, n := range nodes {
		if err := n.startKubelet(s, r.subnet); err != nil {
			return err
		}
	}
	return nil
}
