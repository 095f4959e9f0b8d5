package main

import (
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

func TestChooseMode(t *testing.T) {
	for name, test := range map[string]struct {
		requested, kubeconfig, system string
		user                          int
		want                          string
		reason                        string
	}{
		"root on Linux":                        {"local", "", "linux", 0, "local", "pods can run"},
		"not root":                             {"local", "", "linux", 1000, "simulated", "namespaces, mounts and cgroups need root"},
		"root, not on Linux":                   {"local", "", "darwin", 0, "simulated", "the kernel has no containers"},
		"root who requests simulated":          {"simulated", "", "linux", 0, "simulated", "the mode was requested"},
		"kind without root":                    {"kind", "", "linux", 1000, "kind", "the container engine has the rights"},
		"kind not on Linux":                    {"kind", "", "darwin", 501, "kind", "the container engine has a Linux"},
		"a kubeconfig":                         {"local", "mine", "linux", 0, "existing", "local is the default of the mode"},
		"a kubeconfig without root":            {"local", "mine", "darwin", 501, "existing", "the cluster may be elsewhere"},
		"a kubeconfig and kind":                {"kind", "mine", "linux", 0, "", "they name two clusters"},
		"a kubeconfig and simulated":           {"simulated", "mine", "linux", 0, "", "they name two clusters"},
		"an unknown mode is rejected":          {"minikube", "", "linux", 0, "", "no cluster is of that mode"},
		"an unknown mode and a kubeconfig":     {"minikube", "mine", "linux", 0, "", "no cluster is of that mode"},
		"the name of the internal mode":        {"existing", "", "linux", 0, "", "a kubeconfig selects it"},
		"an empty mode is rejected":            {"", "", "linux", 0, "", "the default was filled in earlier"},
		"the case of letters is significant":   {"Local", "", "linux", 0, "", "the mode is the value of a flag"},
		"simulated and root on another system": {"simulated", "", "darwin", 0, "simulated", "the mode was requested"},
	} {
		got, err := chooseMode(test.requested, test.kubeconfig, test.system, test.user)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: chooseMode(%q, %q, %q, %d) = %q, %v, want %q: %s",
				name, test.requested, test.kubeconfig, test.system, test.user, got, err, test.want, test.reason)
		}
	}
}

func TestApplicable(t *testing.T) {
	for name, test := range map[string]struct {
		mode, argoVersion string
		want              string
	}{
		"local":                {modeLocal, "v3.7.18", "(smoke || x)"},
		"local with Argo 4":    {modeLocal, "v4.0.5", "(smoke || x) && !argo-3"},
		"kind":                 {modeKind, "v3.7.18", "(smoke || x) && !two-nodes && !same-host"},
		"existing":             {modeExisting, "v3.7.18", "(smoke || x) && !same-host"},
		"existing with Argo 4": {modeExisting, "v4.0.5", "(smoke || x) && !argo-3 && !same-host"},
	} {
		s := &settings{mode: test.mode, argoVersion: test.argoVersion}
		if got := s.applicable("smoke || x"); got != test.want {
			t.Errorf("%s: applicable() = %q, want %q", name, got, test.want)
		}
	}
}

func TestRequireRealPods(t *testing.T) {
	for mode, want := range map[string]bool{modeLocal: true, modeKind: true, modeSimulated: false} {
		if err := (&settings{mode: mode}).requireRealPods(t.Context()); (err == nil) != want {
			t.Errorf("requireRealPods() on a %s cluster = %v", mode, err)
		}
	}
}

func TestRequireOwn(t *testing.T) {
	for mode, want := range map[string]bool{modeLocal: true, modeKind: true, modeSimulated: true, modeExisting: false} {
		if err := (&settings{mode: mode}).requireOwn(); (err == nil) != want {
			t.Errorf("requireOwn() of a %s cluster = %v", mode, err)
		}
	}
}

func TestClustersOfOneCheckoutDiffer(t *testing.T) {
	kubeconfigs := map[string]string{}
	for _, mode := range []string{modeLocal, modeSimulated, modeKind} {
		if other, taken := kubeconfigs[ownKubeconfig(mode)]; taken {
			t.Errorf("the clusters %s and %s have the same kubeconfig", mode, other)
		}
		kubeconfigs[ownKubeconfig(mode)] = mode
	}
	if namePrefix(modeLocal) == namePrefix(modeSimulated) {
		t.Error("a local and a simulated cluster have the same name, so that they would share a folder")
	}
}

func TestFingerprintTellsSimulatedApart(t *testing.T) {
	built := binaries.Set{"etcd": {Path: "/cache/etcd"}}
	if fingerprint(built, local.Options{}) == fingerprint(built, local.Options{Simulated: true}) {
		t.Error("a real and a simulated cluster have the same fingerprint, so that neither would replace the other")
	}
}
