package actions

import (
	"context"
	"errors"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// stableParameter declares for how long the objects have to stay healthy.
func stableParameter() contract.Parameter {
	return contract.Parameter{
		Name: "stable-seconds", Description: "For how many seconds it has to stay healthy without interruption. This time may end after wait-seconds.",
		Default: "0", Check: contract.NonNegative,
	}
}

// minimumWatch is the least duration of a watch, so that it receives the present state even if wait-seconds is 0.
const minimumWatch = 2 * time.Second

// observer calls seen with each state until seen returns true, and returns errBoundReached after bound.
type observer[O any] func(ctx context.Context, bound time.Duration, seen func(O) (bool, error)) error

// awaitStable waits until assess is done, then watches whether it stays done for stable-seconds, and starts over if not.
// It fails if assess is not done within wait-seconds. The stable time may end after wait-seconds.
func awaitStable[O any](
	ctx context.Context, s *contract.Step, p *progress, first verdict, watch observer[O], assess func(O) (verdict, error),
) error {
	stable := s.Seconds("stable-seconds")
	if first.done && stable == 0 {
		return nil
	}
	deadline := time.Now().Add(s.Wait)
	p.note(first, nil)
	seen := func(want bool) func(O) (bool, error) {
		return func(o O) (bool, error) {
			v, err := assess(o)
			p.note(v, err)
			return v.done == want, err
		}
	}
	for {
		err := watch(ctx, max(time.Until(deadline), minimumWatch), seen(true))
		if err != nil || stable == 0 {
			return p.end(ctx, err)
		}
		s.Log.Info("healthy; watching whether it stays healthy", "kind", p.kind, "name", p.name, "for", stable.String())
		p.missing = ""
		err = watch(ctx, stable, seen(false))
		if errors.Is(err, errBoundReached) {
			return nil
		}
		if err != nil {
			return p.end(ctx, err)
		}
	}
}
