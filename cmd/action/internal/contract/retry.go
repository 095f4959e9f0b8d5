package contract

import (
	"context"
	"errors"
	"math"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// attemptGrace is how long an attempt may take that was started before the limit.
const attemptGrace = 10 * time.Second

// Backoff paces retries. In contrast to wait.Backoff it does not end when the delay reaches its maximum.
type Backoff struct {
	// Initial is the delay after the first attempt. It doubles after each further attempt.
	Initial time.Duration
	// Max bounds the delay.
	Max time.Duration
	// Limit bounds how long a transient error is retried.
	Limit time.Duration
}

// Repeat calls attempt until it returns no error or one that is not to be retried, and starts no attempt after limit. It
// calls attempt at least once. It returns the last error, and whether the limit ended the attempts.
func (b Backoff) Repeat(
	ctx context.Context, limit time.Duration, attempt func(ctx context.Context) (retry bool, err error),
) (limited bool, err error) {
	deadline := time.Now().Add(limit)
	attempts, cancel := context.WithDeadline(ctx, deadline.Add(attemptGrace))
	defer cancel()
	next := wait.Backoff{Duration: b.Initial, Cap: b.Max, Factor: 2, Jitter: 0.2, Steps: math.MaxInt32}.DelayFunc()
	for {
		retry, current := attempt(attempts)
		if err == nil || ctx.Err() == nil && attempts.Err() == nil {
			// The error of an attempt that was interrupted does not show the cause.
			err = current
		}
		if current == nil || !retry {
			return false, current
		}
		delay := min(next(), time.Until(deadline))
		if delay <= 0 {
			return true, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(delay):
		}
	}
}

// Retry runs a request, or a read and the write that depends on it, until it succeeds, fails permanently, or has failed
// with transient errors for as long as the step's backoff allows. A conflict is transient, so request must read again.
func (s *Step) Retry(ctx context.Context, doing string, request func(ctx context.Context) error) error {
	_, err := s.Backoff.Repeat(ctx, s.Backoff.Limit, func(ctx context.Context) (bool, error) {
		err := request(ctx)
		if err == nil || !IsTransient(err) {
			return false, err
		}
		s.Log.Warn("retrying", "doing", doing, "error", err.Error())
		return true, err
	})
	return err
}

// IsTransient reports whether a request that failed with this error may succeed within seconds.
func IsTransient(err error) bool {
	if failure, ok := errors.AsType[*Failure](err); ok && failure.Code == ExitNever {
		return false
	}
	if apierrors.IsConflict(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsTimeout(err) {
		return true
	}
	var answer apierrors.APIStatus
	if errors.As(err, &answer) {
		return false
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	_, isTransport := errors.AsType[*url.Error](err)
	return isTransport || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsTimeout(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err)
}
