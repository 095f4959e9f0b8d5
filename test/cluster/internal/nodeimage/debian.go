package nodeimage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// suite is the last release of Debian whose systemd supports cgroups of version 1.
const suite = "bookworm"

// packages are those of kind's base image, except those for its storage tests and for rootless engines.
var packages = []string{
	"systemd", "systemd-sysv", "dbus",
	"conntrack", "iptables", "nftables", "iproute2", "ethtool", "mount", "kmod",
	"libseccomp2", "runc",
	"ca-certificates", "curl", "jq", "procps",
}

// unwanted are patterns of files that have no use in a container. Units that start by default could change the machine.
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

// baseArchive is the cached lower layer.
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
