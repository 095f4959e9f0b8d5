package nodeimage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// suite is the last one whose systemd knows cgroups of version 1.
const suite = "bookworm"

// packages are what kind's base image has, without what only its own storage tests and rootless engines need.
var packages = []string{
	"systemd", "systemd-sysv", "dbus",
	"conntrack", "iptables", "nftables", "iproute2", "ethtool", "mount", "kmod",
	"libseccomp2", "runc",
	"ca-certificates", "curl", "jq", "procps",
}

// unwanted are patterns of files that make no sense in a container or only take space. Units that are started without being asked for
// would take over what belongs to the machine.
var unwanted = []string{
	"lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
	"lib/systemd/system/multi-user.target.wants/*",
	"lib/systemd/system/local-fs.target.wants/*",
	"lib/systemd/system/sockets.target.wants/*udev*",
	"lib/systemd/system/sockets.target.wants/*initctl*",
	"lib/systemd/system/basic.target.wants/*",
	"etc/systemd/system/*.wants/*",
	"var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*",
	"usr/share/doc/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*",
}

func debianKey() string {
	hash := sha256.New()
	fmt.Fprintln(hash, suite, packages, unwanted)
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// baseArchive is the cached layer with Debian's files.
func (r Recipe) baseArchive() string {
	return filepath.Join(r.Folder, "debian-"+suite+"-"+debianKey()+".tar")
}

func debootstrapArguments(target string) []string {
	return []string{"--variant=minbase", "--include=" + strings.Join(packages, ","), suite, target}
}

func removeUnwanted(root string) error {
	for _, pattern := range unwanted {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return fmt.Errorf("remove %s: %w", pattern, err)
		}
		for _, match := range matches {
			if err := os.RemoveAll(match); err != nil {
				return fmt.Errorf("remove %s: %w", pattern, err)
			}
		}
	}
	return nil
}
