//go:build linux

package local

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"text/template"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/cgroup"
)

const containerdSocket = "/run/containerd/containerd.sock"

// startRuntime starts the container runtime in a new mount namespace.
func (n node) startRuntime(starter *starter, options Options, subnet netip.Prefix) error {
	cluster := starter.cluster
	if err := n.writeConfig(cluster, options, subnet); err != nil {
		return err
	}
	// The kubelet does not create the parent of the cgroups of pods.
	if err := cgroup.Make(n.cgroup(cluster)); err != nil {
		return err
	}
	return onOwnThread(func() error {
		if err := enterNetwork(cluster); err != nil {
			return err
		}
		if err := n.enterMounts(cluster); err != nil {
			return fmt.Errorf("set up the mounts of the node: %w", err)
		}
		return starter.startAs(n.component("containerd"), "containerd", "--config", n.config(cluster, "containerd.toml"))
	})
}

// startKubelet starts the kubelet in the namespaces of the container runtime, because they share mounts.
func (n node) startKubelet(starter *starter, subnet netip.Prefix) error {
	cluster := starter.cluster
	runtime, err := starter.record.find(n.component("containerd"))
	if err != nil {
		return err
	}
	return onOwnThread(func() error {
		if err := enterNetwork(cluster); err != nil {
			return err
		}
		if err := joinMounts(runtime.PID); err != nil {
			return fmt.Errorf("enter the mount namespace of the node: %w", err)
		}
		return starter.startAs(n.component("kubelet"), "kubelet",
			"--config="+n.config(cluster, "kubelet.yaml"),
			"--kubeconfig="+n.credentials(cluster),
			"--hostname-override="+n.name,
			"--node-ip="+n.address(subnet).String(),
		)
	})
}

// joinMounts moves the calling thread into the mount namespace of a process.
func joinMounts(pid int) error {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	// The kernel rejects this for a thread that shares its root and working folder with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS)
}

// enterMounts moves the calling thread into a new mount namespace, whose mounts do not propagate to the machine.
func (n node) enterMounts(cluster layout) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unmountNamespaces(); err != nil {
		return err
	}
	// Volumes with mount propagation need shared mounts. They are shared within this namespace only.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	for target, folder := range masks {
		if err := unix.Mount(n.path(cluster, folder), target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
	}
	return n.maskTunables(cluster)
}

// unmountNamespaces unmounts the copies of mounts of network namespaces, because those of other clusters would otherwise exist for longer
// than these clusters.
func unmountNamespaces() error {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("nsfs"))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	for _, mount := range mounts {
		if err := unix.Unmount(mount.Mountpoint, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", mount.Mountpoint, err)
		}
	}
	return nil
}

// tunables are the kernel settings that the kubelet requires. They are settings of the whole machine, which a cluster must not change.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// maskTunables mounts files with the required values over the kernel settings, so that the kubelet does not change them.
func (n node) maskTunables(cluster layout) error {
	for name, value := range tunables {
		file := n.config(cluster, "tunable-"+strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := unix.Mount(file, "/proc/sys/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over /proc/sys/%s: %w", name, err)
		}
	}
	return nil
}

func (n node) writeConfig(cluster layout, options Options, subnet netip.Prefix) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find runc: %w", err)
	}
	values := map[string]any{
		"Binaries": cluster.path("bin"), "NetworkConfig": n.config(cluster, "cni"), "PauseImage": options.PauseImage, "Runc": runc,
		"Cgroup": "/" + n.cgroup(cluster), "ClientCA": cluster.pki("ca.crt"), "Socket": containerdSocket,
		"NameService": kubernetesService, "Resolver": n.config(cluster, "resolv.conf"), "PodSubnet": n.podSubnet(),
		"Bridge": n.bridge(), "Address": n.address(subnet),
	}
	for file, source := range map[string]*template.Template{
		"containerd.toml": containerdConfig, "kubelet.yaml": kubeletConfig, "cni/10-bridge.conflist": networkConfig, "resolv.conf": resolverConfig,
	} {
		if err := writeTemplate(n.config(cluster, file), source, values); err != nil {
			return err
		}
	}
	return nil
}

// The option restrict_oom_score_adj lets machines without CAP_SYS_RESOURCE start sandboxes. The opt plugin is disabled because it creates a
// folder in /opt.
var containerdConfig = template.Must(template.New("containerd").Parse(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
  address = "{{ .Socket }}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{{ .PauseImage }}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{{ .Binaries }}"]
    conf_dir = "{{ .NetworkConfig }}"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{{ .Runc }}"
        SystemdCgroup = false
`))

// The thresholds of eviction and of image garbage collection allow a nearly full disk of a development machine: the images of a test cannot
// be pulled again. The nodes share a network, and so the loopback address of the health endpoint of the kubelet, which is therefore disabled.
// The name server is the address of the kubernetes service, which refuses queries immediately; those to an unused address would time out.
var kubeletConfig = template.Must(template.New("kubelet").Parse(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{ .Address }}
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: "{{ .ClientCA }}"}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: "{{ .Cgroup }}"
clusterDNS: ["{{ .NameService }}"]
clusterDomain: cluster.local
containerRuntimeEndpoint: "unix://{{ .Socket }}"
evictionHard:
  memory.available: 100Mi
  nodefs.available: 1%
  nodefs.inodesFree: 1%
  imagefs.available: 1%
  imagefs.inodesFree: 1%
failCgroupV1: false
failSwapOn: false
healthzPort: 0
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
makeIPTablesUtilChains: false
maxPods: 200
oomScoreAdj: 0
resolvConf: "{{ .Resolver }}"
volumePluginDir: /var/lib/kubelet/volume-plugins
`))

var networkConfig = template.Must(template.New("network").Parse(`{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "bridge",
    "bridge": "{{ .Bridge }}",
    "isGateway": true,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "/run/cni",
      "ranges": [[{"subnet": "{{ .PodSubnet }}"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`))

var resolverConfig = template.Must(template.New("resolver").Parse("nameserver {{ .NameService }}\n"))
