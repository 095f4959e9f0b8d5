package contract

import (
	"context"
	"errors"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Retry runs a request, or a read and the write that depends on it, until it succeeds, fails permanently, or has failed
// with transient errors as often as the step's backoff allows. A conflict is transient, so request must read again.
func (s *Step) Retry(ctx context.Context, doing string, request func(ctx context.Context) error) error {
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, s.Backoff, func(ctx context.Context) (bool, error) {
		last = request(ctx)
		if last == nil {
			return true, nil
		}
		if !IsTransient(last) {
			return false, last
		}
		s.Log.Warn("retrying", "doing", doing, "error", last.Error())
		return false, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// IsTransient reports whether a request that failed with this error may succeed within seconds.
func IsTransient(err error) bool {
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
