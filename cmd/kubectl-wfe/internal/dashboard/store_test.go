package dashboard

import (
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestStoreNotifies verifies that each change closes the channel, and that a repeated report does not.
func TestStoreNotifies(t *testing.T) {
	t.Parallel()
	s := NewStore()
	notifies := func(change func()) bool {
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
		if got := notifies(test.change); got != test.want {
			t.Errorf("%s: notified %t", name, got)
		}
	}
}
