//go:build linux

package local

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
)

// securePort is the port of the API server: the one of the kubernetes service, because nothing translates ports.
const securePort = 443

// makeCredentials lets kubeadm make the certificates and the kubeconfigs of all components.
func makeCredentials(ctx context.Context, cluster layout, version string, subnet netip.Prefix) error {
	for i, n := range nodes {
		config := cluster.config("kubeadm-" + n.name + ".yaml")
		err := writeTemplate(config, kubeadmConfig, map[string]any{
			"Address": serverAddress(subnet), "Port": securePort, "Node": n.name, "Version": version, "Cluster": cluster.name,
			"Certificates": cluster.path("pki"), "PodSubnet": podSubnet, "ServiceSubnet": serviceSubnet, "Etcd": cluster.path("etcd"),
		})
		if err != nil {
			return err
		}
		credentials := "kubelet"
		if i == 0 {
			credentials = "all"
			if err := cluster.run(ctx, "kubeadm", "init", "phase", "certs", "all", "--config", config); err != nil {
				return fmt.Errorf("make certificates: %w", err)
			}
		}
		folder := filepath.Dir(n.credentials(cluster))
		if err := cluster.run(ctx, "kubeadm", "init", "phase", "kubeconfig", credentials, "--config", config, "--kubeconfig-dir", folder); err != nil {
			return fmt.Errorf("make kubeconfigs: %w", err)
		}
	}
	return nil
}

func writeTemplate(file string, source *template.Template, values any) error {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := source.Execute(handle, values); err != nil {
		_ = handle.Close()
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := handle.Close(); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// Keys of curve P-256 take no time to make; RSA keys would take several seconds on a small machine.
var kubeadmConfig = template.Must(template.New("kubeadm").Parse(`apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: {{ .Address }}
  bindPort: {{ .Port }}
nodeRegistration:
  name: {{ .Node }}
  criSocket: unix:///run/containerd/containerd.sock
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {{ .Version }}
clusterName: {{ .Cluster }}
certificatesDir: {{ .Certificates }}
encryptionAlgorithm: ECDSA-P256
networking:
  podSubnet: {{ .PodSubnet }}
  serviceSubnet: {{ .ServiceSubnet }}
etcd:
  local:
    dataDir: {{ .Etcd }}
`))
