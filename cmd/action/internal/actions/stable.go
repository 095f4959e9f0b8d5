package actions

import (
	"context"
	"errors"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// stableParameter is how verifying actions take the time for which health has to last.
func stableParameter() contract.Parameter {
	return contract.Parameter{
		Name: "stable-seconds", Description: "For how many seconds it has to stay healthy without a break, after wait-seconds at the latest.",
		Default: "0", Check: contract.NonNegative,
	}
}

// firstLook is the least time for a watch, so that what is healthy already is seen even without a wait.
const firstLook = 2 * time.Second

// observer shows what it watches to seen until that says that it is enough, and returns errNotYet after bound.
type observer[O any] func(ctx context.Context, bound time.Duration, seen func(O) (bool, error)) error

// staysTrue waits until look passes, then watches whether it goes on passing for stable-seconds, and starts again if not.
// It fails when look does not pass before wait-seconds are over; the seconds of a last stable time may lie behind them.
func staysTrue[O any](
	ctx context.Context, s *contract.Step, p *progress, first verdict, watch observer[O], look func(O) (verdict, error),
) error {
	stable := s.Seconds("stable-seconds")
	if first.done && stable == 0 {
		return nil
	}
	deadline := time.Now().Add(s.Wait)
	p.note(first, nil)
	seen := func(want bool) func(O) (bool, error) {
		return func(o O) (bool, error) {
			v, err := look(o)
			p.note(v, err)
			return v.done == want, err
		}
	}
	for {
		err := watch(ctx, max(time.Until(deadline), firstLook), seen(true))
		if errors.Is(err, errNotYet) {
			return p.timedOut()
		}
		if err != nil || stable == 0 {
			return err
		}
		s.Log.Info("healthy, watching whether it stays so", "kind", p.kind, "name", p.name, "for", stable.String())
		p.missing = ""
		err = watch(ctx, stable, seen(false))
		if errors.Is(err, errNotYet) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
