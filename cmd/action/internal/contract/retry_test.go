package contract

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/flowcontrol"
)

func TestRetryLastsToItsLimit(t *testing.T) {
	t.Parallel()
	unavailable := apierrors.NewServiceUnavailable("restarting")
	cases := map[string]struct {
		reason  string
		returns func(since time.Duration) error
		err     error
		atLeast time.Duration
		atMost  time.Duration
	}{
		"AwayForHalfAMinute": {
			reason:  "the delay reaches its maximum long before the limit, and the attempts go on",
			returns: func(time.Duration) error { return unavailable }, err: unavailable, atLeast: 25 * time.Second, atMost: 30 * time.Second,
		},
		"BackAfterTwentySeconds": {
			reason: "an API server that returns before the limit is enough",
			returns: func(since time.Duration) error {
				if since < 20*time.Second {
					return unavailable
				}
				return nil
			}, atLeast: 20 * time.Second, atMost: 26 * time.Second,
		},
		"Permanent": {
			reason: "a permanent error is not retried", returns: func(time.Duration) error { return apierrors.NewBadRequest("bad") }, err: apierrors.NewBadRequest("bad"),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &Step{Backoff: DefaultBackoff(), Log: slog.New(slog.DiscardHandler)}
				begin := time.Now()
				var last time.Duration
				err := s.Retry(t.Context(), "testing", func(context.Context) error {
					last = time.Since(begin)
					return c.returns(last)
				})
				if (err == nil) != (c.err == nil) || err != nil && err.Error() != c.err.Error() {
					t.Errorf("%s\nerror %v, want %v", c.reason, err, c.err)
				}
				if last < c.atLeast || last > c.atMost {
					t.Errorf("%s\nthe last attempt was after %s", c.reason, last)
				}
			})
		})
	}
}

func TestRetryReportsTheCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := apierrors.NewServiceUnavailable("restarting")
		first := true
		b := Backoff{Initial: time.Second, Max: time.Second, Limit: 10 * time.Second}
		_, err := b.Repeat(t.Context(), b.Limit, func(ctx context.Context) (bool, error) {
			if first {
				first = false
				return true, cause
			}
			<-ctx.Done()
			return true, ctx.Err()
		})
		if !errors.Is(err, cause) {
			t.Errorf("the interrupted attempt hides the cause: %v", err)
		}
	})
}

func TestLimiterReturnsTheErrorOfTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := deadlineLimiter{flowcontrol.NewTokenBucketRateLimiter(0.1, 1)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := limiter.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if err := limiter.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}
