package local

import (
	"fmt"
	"strings"
)

// startServer starts etcd and the API server in the network of the cluster, with the arguments that kubeadm sets.
func startServer(starter *starter, options Options) error {
	cluster := starter.cluster
	return starter.infrastructure.inNetwork(cluster, func() error {
		if err := starter.start("etcd", etcdArguments(cluster, starter.endpoints, options.Fsync)...); err != nil {
			return err
		}
		return starter.start("kube-apiserver", apiServerArguments(cluster, starter.endpoints, options.AuditPolicy)...)
	})
}

// startControllers starts the controller manager and the scheduler. The API server must be ready, because they retry with increasing
// delays after a refused connection.
func startControllers(starter *starter) error {
	cluster := starter.cluster
	return starter.infrastructure.inNetwork(cluster, func() error {
		if err := starter.start("kube-controller-manager", controllerManagerArguments(cluster, starter.endpoints)...); err != nil {
			return err
		}
		return starter.start("kube-scheduler", schedulerArguments(cluster, starter.endpoints)...)
	})
}

func etcdArguments(cluster layout, at endpoints, fsync bool) []string {
	arguments := []string{
		"--name=" + cluster.name,
		"--data-dir=" + cluster.path("etcd"),
		"--listen-client-urls=" + at.etcdURL(),
		"--advertise-client-urls=" + at.etcdURL(),
		"--listen-peer-urls=" + at.etcdPeerURL(),
		"--initial-advertise-peer-urls=" + at.etcdPeerURL(),
		"--initial-cluster=" + cluster.name + "=" + at.etcdPeerURL(),
		"--client-cert-auth=true",
		"--trusted-ca-file=" + cluster.pki("etcd/ca.crt"),
		"--cert-file=" + cluster.pki("etcd/server.crt"),
		"--key-file=" + cluster.pki("etcd/server.key"),
		"--peer-client-cert-auth=true",
		"--peer-trusted-ca-file=" + cluster.pki("etcd/ca.crt"),
		"--peer-cert-file=" + cluster.pki("etcd/peer.crt"),
		"--peer-key-file=" + cluster.pki("etcd/peer.key"),
		"--quota-backend-bytes=8589934592",
	}
	if !fsync {
		arguments = append(arguments, "--unsafe-no-fsync")
	}
	return arguments
}

func apiServerArguments(cluster layout, at endpoints, auditPolicy string) []string {
	arguments := []string{
		"--advertise-address=" + at.advertised.String(),
		fmt.Sprintf("--secure-port=%d", at.port),
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--client-ca-file=" + cluster.pki("ca.crt"),
		"--enable-admission-plugins=NodeRestriction",
		// The cluster has no service proxy, so webhooks and aggregated servers are called at the addresses of their pods.
		"--enable-aggregator-routing=true",
		"--enable-bootstrap-token-auth=true",
		"--etcd-servers=" + at.etcdURL(),
		"--etcd-cafile=" + cluster.pki("etcd/ca.crt"),
		"--etcd-certfile=" + cluster.pki("apiserver-etcd-client.crt"),
		"--etcd-keyfile=" + cluster.pki("apiserver-etcd-client.key"),
		"--kubelet-client-certificate=" + cluster.pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + cluster.pki("apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + cluster.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + cluster.pki("front-proxy-client.key"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-client-ca-file=" + cluster.pki("front-proxy-ca.crt"),
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + cluster.pki("sa.pub"),
		"--service-account-signing-key-file=" + cluster.pki("sa.key"),
		"--service-cluster-ip-range=" + serviceSubnet,
		"--tls-cert-file=" + cluster.pki("apiserver.crt"),
		"--tls-private-key-file=" + cluster.pki("apiserver.key"),
	}
	if at.onLoopback {
		arguments = append(arguments, "--bind-address=127.0.0.1")
	}
	if auditPolicy != "" {
		arguments = append(arguments, "--audit-policy-file="+auditPolicy, "--audit-log-path="+cluster.log("audit"))
	}
	return arguments
}

func controllerManagerArguments(cluster layout, at endpoints) []string {
	credentials := cluster.credentials("controller-manager")
	return append(at.withoutServing(), []string{
		"--allocate-node-cidrs=true",
		"--authentication-kubeconfig=" + credentials,
		"--authorization-kubeconfig=" + credentials,
		"--bind-address=127.0.0.1",
		"--client-ca-file=" + cluster.pki("ca.crt"),
		"--cluster-cidr=" + podSubnet,
		"--cluster-name=" + cluster.name,
		"--cluster-signing-cert-file=" + cluster.pki("ca.crt"),
		"--cluster-signing-key-file=" + cluster.pki("ca.key"),
		"--controllers=" + strings.Join([]string{"*", "bootstrapsigner", "tokencleaner"}, ","),
		// The default is a folder outside of the cluster, which the controller manager creates.
		"--flex-volume-plugin-dir=" + cluster.path("volume-plugins"),
		// With the defaults, its rate limiter delays the start by seconds.
		"--kube-api-burst=400",
		"--kube-api-qps=200",
		"--kubeconfig=" + credentials,
		// The only replica needs no lease, and would wait 15 seconds for that of a killed predecessor.
		"--leader-elect=false",
		"--requestheader-client-ca-file=" + cluster.pki("front-proxy-ca.crt"),
		"--root-ca-file=" + cluster.pki("ca.crt"),
		"--service-account-private-key-file=" + cluster.pki("sa.key"),
		"--service-cluster-ip-range=" + serviceSubnet,
		"--use-service-account-credentials=true",
	}...)
}

func schedulerArguments(cluster layout, at endpoints) []string {
	credentials := cluster.credentials("scheduler")
	return append(at.withoutServing(), []string{
		"--authentication-kubeconfig=" + credentials,
		"--authorization-kubeconfig=" + credentials,
		"--bind-address=127.0.0.1",
		"--kubeconfig=" + credentials,
		"--leader-elect=false",
	}...)
}
