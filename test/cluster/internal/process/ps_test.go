package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParsePS(t *testing.T) {
	started := uint64(time.Date(2026, time.March, 5, 9, 8, 7, 0, time.UTC).Unix())
	for name, test := range map[string]struct {
		line string
		want Process
		ok   bool
	}{
		"plain": {
			"  12 S    Thu Mar  5 09:08:07 2026 /cache/bin/etcd\n", Process{PID: 12, Started: started, Executable: "/cache/bin/etcd", Argument0: "/cache/bin/etcd"}, true,
		},
		"blanks in a path": {
			"12 Ss+ Thu Mar 5 09:08:07 2026 /my  cache/etcd", Process{PID: 12, Started: started, Executable: "/my  cache/etcd", Argument0: "/my  cache/etcd"}, true,
		},
		"the pid looks like the year": {
			"2026 S Thu Mar 5 09:08:07 2026 /a", Process{PID: 2026, Started: started, Executable: "/a", Argument0: "/a"}, true,
		},
		"a zombie":  {"12 Z Thu Mar 5 09:08:07 2026 (etcd)", Process{}, false},
		"a heading": {"PID S STARTED COMMAND a b c d", Process{}, false},
		"nothing":   {"", Process{}, false},
	} {
		got, ok := parsePS(test.line)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("%s: parsePS() is %t (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestRunPS(t *testing.T) {
	if _, err := exec.LookPath("ps"); err != nil {
		t.Skip("this machine has no ps")
	}
	output, err := runPS("-p", strconv.Itoa(os.Getpid()))
	if err != nil && runtime.GOOS == "linux" {
		t.Skipf("this machine has another ps, and Linux does not need it: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	read, ok := parsePS(string(output))
	age := time.Since(time.Unix(int64(read.Started), 0))
	if !ok || read.PID != os.Getpid() || age < -time.Minute || age > time.Hour {
		t.Errorf("parsePS() of this process = %+v, %t from %q", read, ok, output)
	}
}
