package local

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

func TestIsOwned(t *testing.T) {
	cluster := newLayout("/cache/clusters", "wfe-1")
	recorded := record{Boot: "this", Processes: []recordedProcess{{Name: "etcd", PID: 10, Started: 100}}}
	for name, test := range map[string]struct {
		candidate process.Process
		boot      string
		want      bool
		reason    string
	}{
		"recorded":               {process.Process{PID: 10, Started: 100}, "this", true, "identifier and start time match the record"},
		"identifier used again":  {process.Process{PID: 10, Started: 101}, "this", false, "another process has the identifier"},
		"recorded before a boot": {process.Process{PID: 10, Started: 100}, "another", false, "start times are relative to the boot"},
		"the cluster's executable": {
			process.Process{PID: 11, Executable: "/cache/clusters/wfe-1/bin/containerd-shim-runc-v2"}, "this", true, "only the cluster runs these files",
		},
		"the cluster's executable by its name": {
			process.Process{PID: 11, Argument0: "/cache/clusters/wfe-1/bin/etcd"}, "this", true, "the file itself may have been removed",
		},
		"a pod's process": {
			process.Process{PID: 12, Executable: "/program", Cgroups: []string{"/", "/wfe-1/kubepods/pod1/x"}}, "this", true, "it runs in the cgroup of the cluster",
		},
		"a pod's process on the second node": {
			process.Process{PID: 12, Executable: "/program", Cgroups: []string{"/wfe-1.local-2/kubepods/pod1/x"}}, "this", true, "it runs in the cgroup of that node",
		},
		"the cache's executable": {
			process.Process{PID: 13, Executable: "/cache/bin/etcd/v3/etcd"}, "this", false, "an envtest may run it",
		},
		"another cluster's executable": {
			process.Process{PID: 14, Executable: "/cache/clusters/wfe-10/bin/etcd"}, "this", false, "only the beginning of the name is the same",
		},
		"another cluster's pod": {
			process.Process{PID: 15, Cgroups: []string{"/wfe-10/kubepods/pod1/x"}}, "this", false, "only the beginning of the name is the same",
		},
		"a pager that shows a log": {
			process.Process{PID: 16, Executable: "/usr/bin/less", Argument0: "less"}, "this", false, "only its arguments contain the folder",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isOwned(test.candidate, cluster, recorded, test.boot); got != test.want {
				t.Errorf("isOwned(%+v) = %t, want %t: %s", test.candidate, got, test.want, test.reason)
			}
		})
	}
}

func TestIsAbandoned(t *testing.T) {
	exists := func(path string) bool { return path == "/here" }
	for name, test := range map[string]struct {
		checkout string
		want     bool
		reason   string
	}{
		"the checkout exists":      {"/here", false, "the cluster may be in use"},
		"the checkout was removed": {"/gone", true, "no command can reach the cluster"},
		"an unreadable record":     {"", false, "the checkout is unknown"},
		"a relative path":          {"gone", false, "the path depends on the working folder"},
	} {
		if got := isAbandoned(record{Checkout: test.checkout}, exists); got != test.want {
			t.Errorf("%s: isAbandoned() = %t, want %t: %s", name, got, test.want, test.reason)
		}
	}
}

func TestReadIncompleteRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record.json")
	want := record{Checkout: "/here", Boot: "this", Ready: true, Processes: []recordedProcess{{Name: "etcd", PID: 1, Started: 2, Version: "v1"}}}
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	if got, err := readRecord(file); err != nil || !cmp.Equal(want, got) {
		t.Errorf("readRecord() = %+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(file, []byte(`{"Checkout": "/he`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readRecord(file); err != nil || !cmp.Equal(record{}, got) {
		t.Errorf("readRecord() of an incomplete record = %+v, %v, want an empty one", got, err)
	}
	if got, err := readRecord(file + "-missing"); err != nil || !cmp.Equal(record{}, got) {
		t.Errorf("readRecord() of no record = %+v, %v, want an empty one", got, err)
	}
}

func TestChooseSubnet(t *testing.T) {
	first, err := chooseSubnet("wfe-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := chooseSubnet("wfe-1", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if err != nil || again != first {
		t.Errorf("chooseSubnet() = %s, %v, want %s again: nothing overlaps", again, err, first)
	}
	next, err := chooseSubnet("wfe-1", []netip.Prefix{netip.PrefixFrom(serverAddress(first), 32)})
	if err != nil || next == first || next.Overlaps(first) {
		t.Errorf("chooseSubnet() = %s, %v although the host uses an address of that network", next, err)
	}
	if got, err := chooseSubnet("wfe-1", []netip.Prefix{netip.MustParsePrefix("198.16.0.0/13")}); err == nil {
		t.Errorf("chooseSubnet() = %s although all networks are in use, want an error", got)
	}
	ends := map[netip.Addr]string{hostAddress(first): "host"}
	for _, n := range nodes {
		if taken, is := ends[n.address(first)]; is || !first.Contains(n.address(first)) {
			t.Errorf("%s is the address of node %s, in %s and with %q", n.address(first), n.name, first, taken)
		}
		ends[n.address(first)] = n.name
	}
	if len(ends) != 3 || !first.Contains(hostAddress(first)) {
		t.Errorf("the ends of %s are %v", first, ends)
	}
}

func TestFailedChecks(t *testing.T) {
	answer := "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"
	if diff := cmp.Diff([]string{"etcd", "shutdown"}, failedChecks(answer)); diff != "" {
		t.Errorf("failedChecks() (-want +got):\n%s", diff)
	}
}

func TestRejectMasked(t *testing.T) {
	for parent, want := range map[string]bool{
		"/home/someone/.cache/clusters": false,
		"/var/lib/agent/.cache":         true,
		"/run":                          true,
		"/running":                      false,
	} {
		if got := newLayout(parent, "wfe-1").rejectMasked() != nil; got != want {
			t.Errorf("rejectMasked() below %s rejects: %t, want %t", parent, got, want)
		}
	}
}

func TestUnpublishKubeconfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".cluster", "kubeconfig")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("current-context: kubernetes-admin@wfe-10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unpublishKubeconfig(newLayout("/x", "wfe-1"), file); err != nil {
		t.Fatal(err)
	}
	if !folderExists(file) {
		t.Error("another cluster's kubeconfig was removed")
	}
	for range 2 {
		if err := unpublishKubeconfig(newLayout("/x", "wfe-10"), file); err != nil {
			t.Fatal(err)
		}
		if folderExists(filepath.Dir(file)) {
			t.Error("the cluster's own kubeconfig was not removed")
		}
	}
}
