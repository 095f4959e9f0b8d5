package simulator

import (
	"maps"
	"slices"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Queue plays the work queue of a controller: it holds what the watches enqueued, and a timer for each request that the
// controller asked to repeat. Only one request of a name is in it.
type Queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request] // nil: the watches call Add only

	queued map[string]bool
	timers map[string]time.Time
}

// NewQueue makes an empty queue.
func NewQueue() *Queue { return &Queue{queued: map[string]bool{}, timers: map[string]time.Time{}} }

// Add enqueues a request.
func (q *Queue) Add(request reconcile.Request) { q.queued[request.Name] = true }

// Repeat enqueues a name at a time.
func (q *Queue) Repeat(name string, at time.Time) { q.timers[name] = at }

// Next returns the first name, in alphabetical order, that is enqueued or whose timer has expired. ok is false if none is.
func (q *Queue) Next(now time.Time) (name string, ok bool) {
	ready := maps.Clone(q.queued)
	for name, at := range q.timers {
		if !now.Before(at) {
			ready[name] = true
		}
	}
	if len(ready) == 0 {
		return "", false
	}
	return slices.Min(slices.Collect(maps.Keys(ready))), true
}

// Take removes a name and its timer from the queue.
func (q *Queue) Take(name string) {
	delete(q.queued, name)
	delete(q.timers, name)
}

// HasTimer reports whether a name has a timer.
func (q *Queue) HasTimer(name string) bool {
	_, ok := q.timers[name]
	return ok
}

// NextTimer is the time of the first timer. ok is false if there is none.
func (q *Queue) NextTimer() (at time.Time, ok bool) {
	if len(q.timers) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(slices.Collect(maps.Values(q.timers)), time.Time.Compare), true
}
