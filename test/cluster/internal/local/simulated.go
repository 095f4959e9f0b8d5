package local

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Simulated says what nodes are where no pods can run.
const Simulated = "SIMULATED: pods do nothing. Steps succeed a second after they started, without doing anything and without outputs; " +
	"all other pods are said to run"

const (
	// simulatedLabel is a label of simulated nodes, and an annotation that says what that means.
	simulatedLabel = "workflowexecution.kubernaut.io/simulated"
	// playedByKwok is the annotation of the nodes that KWOK plays.
	playedByKwok = "kwok.x-k8s.io/node"
)

// simulatedNode is the only node of a cluster where pods do nothing.
var simulatedNode = node{name: "simulated"}

// stages tell KWOK how nodes and pods are played.
//
//go:embed kwok/stages.yaml
var stages []byte

// simulatedMachines are a node that KWOK plays, and a control plane on the loopback addresses.
type simulatedMachines struct{}

func (simulatedMachines) nodes() []node { return []node{simulatedNode} }

func (simulatedMachines) setUp(s *starter) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	s.place = place{
		// Neither kubeadm nor the kubernetes service takes a loopback address. This one is for documentation: nobody has it, and no pod
		// runs that would want to reach it.
		advertised: netip.MustParseAddr("192.0.2.1"),
		port:       ports[0], etcd: ports[1], etcdPeer: ports[2], onLoopback: true,
	}
	s.record.Subnet = fmt.Sprintf("127.0.0.1:%d", s.place.port)
	return nil
}

func (simulatedMachines) inNetwork(_ layout, run func() error) error { return run() }

func (simulatedMachines) startRuntimes(*starter, Options) error { return nil }

func (simulatedMachines) importImages(context.Context, *starter, []string, func(string, ...any)) error {
	return nil
}

func (simulatedMachines) startNodes(ctx context.Context, s *starter) error {
	client, err := newClient(s.cluster.credentials("admin"))
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Nodes().Create(ctx, describeSimulated(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the simulated node: %w", err)
	}
	config := s.cluster.config("stages.yaml")
	if err := writeFile(config, stages); err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	return s.start("kwok",
		"--config="+config,
		"--kubeconfig="+s.cluster.credentials("admin"),
		"--manage-all-nodes=false",
		"--manage-nodes-with-annotation-selector="+playedByKwok+"=fake",
		"--node-lease-duration-seconds=40",
		fmt.Sprintf("--server-address=127.0.0.1:%d", ports[0]),
	)
}

func describeSimulated() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:        simulatedNode.name,
		Labels:      map[string]string{simulatedLabel: "true", corev1.LabelHostname: simulatedNode.name, corev1.LabelOSStable: "linux"},
		Annotations: map[string]string{simulatedLabel: Simulated, playedByKwok: "fake"},
	}}
}

// freePorts finds ports of the loopback address that nobody listens on.
func freePorts(count int) ([]uint16, error) {
	var ports []uint16
	for range count {
		// All are held until the last is found, so that none is found twice.
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, netip.MustParseAddrPort(listener.Addr().String()).Port())
	}
	return ports, nil
}
