//go:build linux

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// onOwnThread calls a function on a thread that ends with it, so that the function may enter namespaces.
func onOwnThread(run func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread stays locked, so that the runtime ends it together with this goroutine.
		runtime.LockOSThread()
		result <- run()
	}()
	return <-result
}

// setUpNetwork creates the network namespace of the cluster and the link to the host, and returns the network of that link.
func setUpNetwork(cluster layout) (netip.Prefix, error) {
	used, err := networksInUse()
	if err != nil {
		return netip.Prefix{}, err
	}
	subnet, err := chooseSubnet(cluster.name, used)
	if err != nil {
		return netip.Prefix{}, err
	}
	if err := makeNetworkNamespace(cluster.networkNamespace()); err != nil {
		return netip.Prefix{}, fmt.Errorf("create a network namespace: %w", err)
	}
	if err := linkToHost(cluster, subnet); err != nil {
		return netip.Prefix{}, fmt.Errorf("link the network of the cluster with the host: %w", err)
	}
	if err := onOwnThread(func() error { return setUpInside(cluster, subnet) }); err != nil {
		return netip.Prefix{}, fmt.Errorf("set up the network of the cluster: %w", err)
	}
	return subnet, nil
}

// networksInUse lists the networks to which the host has routes.
func networksInUse() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	var used []netip.Prefix
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		address, ok := netip.AddrFromSlice(route.Dst.IP)
		bits, _ := route.Dst.Mask.Size()
		// The default route overlaps with every network.
		if ok && bits > 0 {
			used = append(used, netip.PrefixFrom(address.Unmap(), bits))
		}
	}
	return used, nil
}

// makeNetworkNamespace mounts a new namespace on a file, so that it exists without processes, as "ip netns" does in /run/netns.
func makeNetworkNamespace(file string) error {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o400)
	if err != nil {
		return err
	}
	if err := handle.Close(); err != nil {
		return err
	}
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", file, err)
		}
		return nil
	})
}

func linkToHost(cluster layout, subnet netip.Prefix) error {
	namespace, err := netns.GetFromPath(cluster.networkNamespace())
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = cluster.hostLink()
	link := &netlink.Veth{LinkAttrs: attributes, PeerName: "eth0", PeerNamespace: netlink.NsFd(namespace)}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("create a veth pair (kernel module veth): %w", err)
	}
	return bringUp(cluster.hostLink(), netip.PrefixFrom(hostAddress(subnet), subnet.Bits()))
}

// setUpInside moves the calling thread into the network namespace of the cluster.
func setUpInside(cluster layout, subnet netip.Prefix) error {
	if err := enterNetwork(cluster); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := bringUp("eth0", netip.PrefixFrom(n.address(subnet), subnet.Bits())); err != nil {
			return err
		}
	}
	// The cluster has no service proxy. The address of the kubernetes service is therefore an address of the API server.
	if err := bringUp("lo", netip.PrefixFrom(netip.MustParseAddr(kubernetesService), 32)); err != nil {
		return err
	}
	if err := disableRefusalLimit(); err != nil {
		return err
	}
	return probeBridge()
}

// disableRefusalLimit disables the rate limit of ICMP errors, which is a setting of the network namespace. The cluster has no name service;
// with the limit, some of the queries of pods are refused immediately and others time out.
func disableRefusalLimit() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0o600); err != nil {
		return fmt.Errorf("disable the rate limit of ICMP errors: %w", err)
	}
	return nil
}

func enterNetwork(cluster layout) error {
	namespace, err := netns.GetFromPath(cluster.networkNamespace())
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	defer func() { _ = namespace.Close() }()
	if err := netns.Set(namespace); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	return nil
}

func bringUp(name string, address netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	network := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network}); err != nil {
		return fmt.Errorf("add address %s to link %s: %w", address, name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring link %s up: %w", name, err)
	}
	return nil
}

// probeBridge verifies that the kernel supports bridges, which pods need.
func probeBridge() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "probe"
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("create a bridge (kernel module bridge): %w", err)
	}
	return netlink.LinkDel(bridge)
}

// removeLink removes the end of the link on the host, which removes the other end.
func removeLink(cluster layout) error {
	link, err := netlink.LinkByName(cluster.hostLink())
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find link %s: %w", cluster.hostLink(), err)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove link %s: %w", cluster.hostLink(), err)
	}
	return nil
}
