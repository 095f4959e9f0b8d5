package local

import (
	"fmt"
	"hash/fnv"
	"net/netip"
)

// The networks in the network namespace are the same for all clusters, because they are not visible outside.
const (
	podSubnet         = "10.244.0.0/16"
	serviceSubnet     = "10.96.0.0/16"
	kubernetesService = "10.96.0.1"
)

// linkNetworks is the number of /24 networks in 198.18.0.0/15, which is reserved for tests of network devices and therefore rarely used. One
// of them connects the host and the cluster.
const linkNetworks = 512

// chooseSubnet selects the network that connects the host and the cluster. The name determines the first candidate; a network that overlaps
// with those of the host is skipped.
func chooseSubnet(name string, used []netip.Prefix) (netip.Prefix, error) {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	first := int(hash.Sum32() % linkNetworks)
	for i := range linkNetworks {
		index := (first + i) % linkNetworks
		candidate := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + index/256), byte(index % 256), 0}), 24)
		if !overlapsAny(candidate, used) {
			return candidate, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no network of 198.18.0.0/15 is free: all of them overlap with routes of this machine")
}

func overlapsAny(candidate netip.Prefix, used []netip.Prefix) bool {
	for _, other := range used {
		if candidate.Overlaps(other) {
			return true
		}
	}
	return false
}

// hostAddress and serverAddress are the two ends of the link.
func hostAddress(subnet netip.Prefix) netip.Addr   { return subnet.Addr().Next() }
func serverAddress(subnet netip.Prefix) netip.Addr { return nodes[0].address(subnet) }
