package metrics

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestEfficiency lets executions end while time passes, and adds up those that ended within the window.
func TestEfficiency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account, now := &Efficiency{}, present
		var ended []*wfev1.WorkflowExecution
		draw := func() *wfev1.WorkflowExecution {
			executed := rapid.IntRange(0, 3).Draw(t, "executed")
			ago := time.Duration(rapid.IntRange(-4000, 60).Draw(t, "seconds")) * time.Second
			return finished(now.Add(ago), executed, int32(rapid.IntRange(0, executed).Draw(t, "parallel")))
		}
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			if rapid.Bool().Draw(t, "ends") {
				ended = append(ended, draw())
				account.Add(ended[len(ended)-1])
			} else {
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "passed")) * time.Second)
			}
			all, parallel := 0, 0
			for _, wfe := range ended {
				if end := wfe.Status.CompletionTime; !end.Time.Before(now.Add(-EfficiencyWindow)) && isPast(end, now) {
					all += ExecutedSteps(&wfe.Status)
					parallel += ParallelSteps(&wfe.Status)
				}
			}
			ratio, known := account.Ratio(now)
			if known != (all > 0) || known && ratio != float64(parallel)/float64(all) {
				t.Fatalf("%v, %v, where %d of %d steps ran beside others", ratio, known, parallel, all)
			}
		}
		if account.Ratio(now.Add(2 * EfficiencyWindow)); len(account.ended) > 0 {
			t.Fatalf("%v was kept", account.ended)
		}
	})
}
