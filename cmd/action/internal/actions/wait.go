package actions

import (
	"context"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func waitSeconds() contract.Action {
	return contract.Action{
		Name:    "wait",
		Summary: "Waits for a number of seconds, for effects that no object shows.",
		Undo:    "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "seconds", Description: "The number of seconds to wait.", Required: true, Check: contract.NonNegative},
			contract.DryRunParameter(),
		},
		Outputs: []contract.Output{{Name: "waited-seconds", Description: "The number of seconds that the step waited."}},
		Run: func(ctx context.Context, s *contract.Step) error {
			if s.DryRun {
				return s.Output("waited-seconds", "0")
			}
			s.Log.Info("waiting", "seconds", s.Int("seconds"))
			timer := time.NewTimer(s.Seconds("seconds"))
			defer timer.Stop()
			select {
			case <-timer.C:
				return s.Output("waited-seconds", s.String("seconds"))
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
}
