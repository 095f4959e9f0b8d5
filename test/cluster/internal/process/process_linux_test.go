package process

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"
	for name, test := range map[string]struct {
		stat    string
		state   string
		started uint64
		ok      bool
	}{
		"plain":                  {"12 (etcd)" + rest, "S", 4242, true},
		"parentheses in a name":  {"12 (a) R (b)" + rest, "S", 4242, true},
		"cut off":                {"12 (etcd) S 1 2", "", 0, false},
		"something else":         {"", "", 0, false},
		"a newline in the name ": {"12 (a\nb)" + rest, "S", 4242, true},
	} {
		state, started, ok := parseStat(test.stat)
		if state != test.state || started != test.started || ok != test.ok {
			t.Errorf("%s: parseStat() = %q, %d, %t", name, state, started, ok)
		}
	}
}

func TestRead(t *testing.T) {
	self, alive := Read(os.Getpid())
	if !alive || self.Started == 0 || self.Executable == "" || len(self.Cgroups) == 0 {
		t.Errorf("Read() of this process = %+v, %t", self, alive)
	}
}

func TestParseCgroups(t *testing.T) {
	got := parseCgroups("3:cpu,cpuacct:/wfe-1/a:b\n0::/unified\n")
	if diff := cmp.Diff([]string{"/wfe-1/a:b", "/unified"}, got); diff != "" {
		t.Errorf("parseCgroups() (-want +got):\n%s", diff)
	}
}
