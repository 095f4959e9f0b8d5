package actions

import (
	"context"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// poll returns an observer of something that cannot be watched. An error of read that a retry may help is noted in p.
func poll[O any](p *progress, interval time.Duration, read func(ctx context.Context) (O, error)) observer[O] {
	return func(ctx context.Context, bound time.Duration, seen func(O) (bool, error)) error {
		bounded, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		for {
			state, err := read(bounded)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case bounded.Err() != nil:
				return errBoundReached
			case err != nil && contract.IsPermanent(err):
				return err
			case err != nil:
				p.note(verdict{missing: err.Error()}, nil)
			default:
				if done, err := seen(state); done || err != nil {
					return err
				}
			}
			select {
			case <-bounded.Done():
			case <-time.After(interval):
			}
		}
	}
}
