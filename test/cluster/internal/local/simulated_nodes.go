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

// Simulated describes the nodes of a simulated cluster.
const Simulated = "SIMULATED: pods do nothing. Steps succeed after one second, without any effect and without outputs; " +
	"all other pods have the phase Running"

const (
	// SimulatedLabel is a label of simulated nodes, and the key of an annotation that says what it means.
	SimulatedLabel = "workflowexecution.kubernaut.io/simulated"
	// kwokAnnotation selects the nodes that KWOK simulates.
	kwokAnnotation = "kwok.x-k8s.io/node"
)

// simulatedNode is the only node of a simulated cluster.
var simulatedNode = node{name: "simulated"}

// stages is the configuration of KWOK.
//
//go:embed kwok/stages.yaml
var stages []byte

// simulatedNodes is a node that KWOK simulates, with a control plane on loopback addresses.
type simulatedNodes struct{}

func (simulatedNodes) nodes() []node { return []node{simulatedNode} }

func (simulatedNodes) setUp(s *starter) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	s.endpoints = endpoints{
		// kubeadm and the kubernetes service reject loopback addresses. This address is reserved for documentation. No pod runs that could
		// connect to it.
		advertised: netip.MustParseAddr("192.0.2.1"),
		port:       ports[0], etcd: ports[1], etcdPeer: ports[2], onLoopback: true,
	}
	s.record.Subnet = fmt.Sprintf("127.0.0.1:%d", s.endpoints.port)
	return nil
}

func (simulatedNodes) inNetwork(_ layout, run func() error) error { return run() }

func (simulatedNodes) startRuntimes(*starter, Options) error { return nil }

func (simulatedNodes) importImages(context.Context, *starter, []string, func(string, ...any)) error {
	return nil
}

func (simulatedNodes) startNodes(ctx context.Context, s *starter) error {
	client, err := newClient(s.cluster.credentials("admin"))
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Nodes().Create(ctx, describeSimulated(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the simulated node: %w", err)
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
		"--manage-nodes-with-annotation-selector="+kwokAnnotation+"=fake",
		"--node-lease-duration-seconds=40",
		fmt.Sprintf("--server-address=127.0.0.1:%d", ports[0]),
	)
}

func describeSimulated() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:        simulatedNode.name,
		Labels:      map[string]string{SimulatedLabel: "true", corev1.LabelHostname: simulatedNode.name, corev1.LabelOSStable: "linux"},
		Annotations: map[string]string{SimulatedLabel: Simulated, kwokAnnotation: "fake"},
	}}
}

// freePorts finds unused ports of the loopback address.
func freePorts(count int) ([]uint16, error) {
	var ports []uint16
	for range count {
		// All listeners stay open until the last port is found, so that the ports differ.
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, netip.MustParseAddrPort(listener.Addr().String()).Port())
	}
	return ports, nil
}
