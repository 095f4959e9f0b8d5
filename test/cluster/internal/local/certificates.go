package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// makeCredentials creates the certificates and the kubeconfigs of all components by kubeadm.
func makeCredentials(ctx context.Context, cluster layout, version string, at endpoints, nodes []node) error {
	for i, n := range nodes {
		config := cluster.config("kubeadm-" + n.name + ".yaml")
		err := writeTemplate(config, kubeadmConfig, map[string]any{
			"Address": at.advertised, "Port": at.port, "OnLoopback": at.onLoopback, "Node": n.name, "Version": version, "Cluster": cluster.name,
			"Certificates": cluster.path("pki"), "PodSubnet": podSubnet, "ServiceSubnet": serviceSubnet, "Etcd": cluster.path("etcd"),
		})
		if err != nil {
			return err
		}
		credentials := "kubelet"
		if i == 0 {
			credentials = "all"
			if err := cluster.run(ctx, "kubeadm", "init", "phase", "certs", "all", "--config", config); err != nil {
				return fmt.Errorf("create certificates: %w", err)
			}
		}
		folder := filepath.Dir(n.credentials(cluster))
		if err := cluster.run(ctx, "kubeadm", "init", "phase", "kubeconfig", credentials, "--config", config, "--kubeconfig-dir", folder); err != nil {
			return fmt.Errorf("create kubeconfigs: %w", err)
		}
	}
	if at.onLoopback {
		return useLoopback(cluster, at)
	}
	return nil
}

// useLoopback writes a loopback address to the kubeconfigs, because kubeadm rejects one.
func useLoopback(cluster layout, at endpoints) error {
	files, err := filepath.Glob(cluster.credentials("*"))
	if err != nil {
		return fmt.Errorf("list kubeconfigs: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("change a kubeconfig: %w", err)
		}
		server := fmt.Sprintf("https://%s:%d\n", at.advertised, at.port)
		changed := strings.ReplaceAll(string(content), server, fmt.Sprintf("https://127.0.0.1:%d\n", at.port))
		if err := writeFile(file, []byte(changed)); err != nil {
			return err
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

// Keys of curve P-256 are created immediately; RSA keys take several seconds on a small machine.
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
apiServer:
  certSANs: [{{ if .OnLoopback }}127.0.0.1{{ end }}]
encryptionAlgorithm: ECDSA-P256
networking:
  podSubnet: {{ .PodSubnet }}
  serviceSubnet: {{ .ServiceSubnet }}
etcd:
  local:
    dataDir: {{ .Etcd }}
`))
