package main

import (
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/local"
)

func TestChooseMode(t *testing.T) {
	for name, test := range map[string]struct {
		asked, system string
		user          int
		want          string
		reason        string
	}{
		"root on Linux":                  {"local", "linux", 0, "local", "pods can run"},
		"not root":                       {"local", "linux", 1000, "simulated", "namespaces, mounts and cgroups are root's"},
		"root, not on Linux":             {"local", "darwin", 0, "simulated", "there are no containers"},
		"root who asks for simulated":    {"simulated", "linux", 0, "simulated", "it was asked for"},
		"kind without root":              {"kind", "linux", 1000, "kind", "the container engine has the rights"},
		"kind not on Linux":              {"kind", "darwin", 501, "kind", "the container engine has a Linux"},
		"something else is refused":      {"minikube", "linux", 0, "", "nobody starts it"},
		"an empty mode is refused":       {"", "linux", 0, "", "the default is filled in before"},
		"the case of letters must match": {"Local", "linux", 0, "", "it is the value of a flag"},
	} {
		got, err := chooseMode(test.asked, test.system, test.user)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: chooseMode(%q, %q, %d) = %q, %v, want %q: %s", name, test.asked, test.system, test.user, got, err, test.want, test.reason)
		}
	}
}

func TestChooseSimulated(t *testing.T) {
	for name, test := range map[string]struct {
		mode  string
		asked bool
		want  string
		fails bool
	}{
		"asked for on Linux": {modeLocal, true, modeSimulated, false},
		"not asked for":      {modeLocal, false, modeLocal, false},
		"the mode says it":   {modeSimulated, false, modeSimulated, false},
		"kind":               {modeKind, false, modeKind, false},
		"kind and the flag":  {modeKind, true, modeKind, true},
		"both say the same":  {modeSimulated, true, modeSimulated, false},
	} {
		s := &settings{mode: test.mode}
		if err := s.chooseSimulated(test.asked); (err != nil) != test.fails || s.mode != test.want {
			t.Errorf("%s: the mode is %q, %v, want %q", name, s.mode, err, test.want)
		}
	}
}

func TestFingerprintTellsSimulatedApart(t *testing.T) {
	built := binaries.Set{"etcd": {Path: "/cache/etcd"}}
	if fingerprint(built, local.Options{}) == fingerprint(built, local.Options{Simulated: true}) {
		t.Error("a real and a simulated cluster have the same fingerprint, so that neither would replace the other")
	}
}
