package dashboard

import (
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestStoreWakes holds that each change wakes who waits, and that a report that says nothing new does not.
func TestStoreWakes(t *testing.T) {
	t.Parallel()
	s := NewStore()
	woken := func(change func()) bool {
		changed := s.Changed()
		change()
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	wfe := execution("oom", wfev1.PhaseRunning)
	for name, test := range map[string]struct {
		change func()
		want   bool
	}{
		"a put":           {func() { s.Put(wfe) }, true},
		"a removal":       {func() { s.Remove("production", "oom") }, true},
		"a report":        {func() { s.Report("a" + s.Problem()) }, true},
		"the same report": {func() { s.Report(s.Problem()) }, false},
		"nothing":         {func() {}, false},
	} {
		if got := woken(test.change); got != test.want {
			t.Errorf("%s: woken %t", name, got)
		}
	}
}
