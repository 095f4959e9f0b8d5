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

// onOwnThread runs a function on a thread that ends with it, so that the function may enter namespaces for good.
func onOwnThread(run func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread together with this goroutine.
		runtime.LockOSThread()
		result <- run()
	}()
	return <-result
}

// setUpNetwork makes the cluster's network namespace and the link to the host, and returns the network of that link.
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
		return netip.Prefix{}, fmt.Errorf("make a network namespace: %w", err)
	}
	if err := linkToHost(cluster, subnet); err != nil {
		return netip.Prefix{}, fmt.Errorf("link the cluster's network with the host's: %w", err)
	}
	if err := onOwnThread(func() error { return setUpInside(cluster, subnet) }); err != nil {
		return netip.Prefix{}, fmt.Errorf("set up the cluster's network: %w", err)
	}
	return subnet, nil
}

// networksInUse lists what the host has addresses of and routes to.
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
		// The default route covers everything and reserves nothing.
		if ok && bits > 0 {
			used = append(used, netip.PrefixFrom(address.Unmap(), bits))
		}
	}
	return used, nil
}

// makeNetworkNamespace keeps a new namespace alive by a mount on a file, as "ip netns" does in /run/netns.
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
		return fmt.Errorf("make a veth pair (kernel module veth): %w", err)
	}
	return bringUp(cluster.hostLink(), netip.PrefixFrom(hostAddress(subnet), subnet.Bits()))
}

// setUpInside runs on a thread of its own, which it moves into the cluster's namespace.
func setUpInside(cluster layout, subnet netip.Prefix) error {
	if err := enterNetwork(cluster); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := bringUp("eth0", netip.PrefixFrom(n.address(subnet), subnet.Bits())); err != nil {
			return err
		}
	}
	// There is no service proxy. The one service that every pod needs has its address right where the API server listens.
	if err := bringUp("lo", netip.PrefixFrom(netip.MustParseAddr(kubernetesService), 32)); err != nil {
		return err
	}
	if err := refuseAtOnce(); err != nil {
		return err
	}
	return probeBridge()
}

// refuseAtOnce lifts the limit on telling senders that nobody listens. No name service runs, and with the limit some of the pods'
// questions would be refused at once and others only time out. The setting is the network namespace's own.
func refuseAtOnce() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0o600); err != nil {
		return fmt.Errorf("lift the limit on refusals: %w", err)
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
		return fmt.Errorf("give %s to link %s: %w", address, name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring link %s up: %w", name, err)
	}
	return nil
}

// probeBridge finds out before any pod does that the kernel has no bridges.
func probeBridge() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "probe"
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge (kernel module bridge): %w", err)
	}
	return netlink.LinkDel(bridge)
}

// removeLink removes the host's end of the link, and with it the other one.
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
