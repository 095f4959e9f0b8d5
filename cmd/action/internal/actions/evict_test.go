package actions

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

var errBudget = apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)

// refusesEvictions makes evictions fail for a time.
func (f *fixture) refusesEvictions(during time.Duration, err error) {
	begin := time.Now()
	f.kube.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return action.GetSubresource() == "eviction" && time.Since(begin) < during, nil, err
	})
}

// terminates makes evictions set the deletion timestamp only, as for a pod with a finalizer.
func (f *fixture) terminates() {
	f.kube.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) || action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		object, err := metaAccessor(action)
		if err != nil {
			return true, nil, err
		}
		held := pod(object.GetName(), owned)
		held.DeletionTimestamp, held.DeletionGracePeriodSeconds, held.Finalizers = ptr.To(metav1.Now()), ptr.To[int64](30), []string{"example.com/hold"}
		return true, nil, f.kube.Tracker().Update(podsResource, held, namespace)
	})
}

func TestEvictions(t *testing.T) {
	t.Parallel()
	const always = 24 * time.Hour
	//nolint:revive // the text of the API server
	twoBudgets := apierrors.NewInternalError(errors.New("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."))
	unavailable := apierrors.NewServiceUnavailable("restarting")
	evict := run{action: "evict-pod", parameters: map[string]string{"pod": "ledger-0"}}
	drain := run{action: "drain-node", parameters: map[string]string{"node": "node-1"}}
	cases := map[string]struct {
		reason  string
		refuses time.Duration
		err     error
		holds   bool
		run     run
		wait    string
		want    result
		without string
		atLeast time.Duration
	}{
		"EvictAfterAMinute": {
			reason: "the requests go on until wait-seconds, although their delay has reached its maximum", run: evict, wait: "300",
			refuses: 4 * time.Minute, err: errBudget, atLeast: 4 * time.Minute, want: result{Outputs: map[string]string{"changed": "true"}},
		},
		"EvictNever": {
			reason: "the budget is the cause", run: evict, wait: "300", refuses: always, err: errBudget, atLeast: 5 * time.Minute,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "was not evicted within 5m0s: Cannot evict pod as it would violate the pod's disruption budget.; see kubectl -n production get poddisruptionbudgets", Outputs: map[string]string{"changed": "false"}},
		},
		"EvictWithTwoBudgets": {
			reason: "no retry helps", run: evict, wait: "300", refuses: always, err: twoBudgets,
			want: result{Exit: 64, Reason: "ActionFailed", Message: "more than one PodDisruptionBudget", Outputs: map[string]string{"changed": "false"}},
		},
		"EvictWithoutWaiting": {
			reason: "0 requests the eviction and does not wait for the pod", run: evict, wait: "0", holds: true,
			want: result{Outputs: map[string]string{"changed": "true"}},
		},
		"EvictRefusedWithoutWaiting": {
			reason: "0 requests once", run: evict, wait: "0", refuses: always, err: errBudget,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "disruption budget", Outputs: map[string]string{"changed": "false"}},
		},
		"EvictHeld": {
			reason: "the message contains what holds the pod", run: evict, wait: "60", holds: true, atLeast: time.Minute,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "with a grace period of 30s, held by the finalizers example.com/hold after 1m0s", Outputs: map[string]string{"changed": "true"}},
		},
		"DrainAfterAMinute": {
			reason: "as for one pod", run: drain, wait: "300", refuses: 4 * time.Minute, err: errBudget, atLeast: 4 * time.Minute,
			want: result{Outputs: map[string]string{"changed": "true", "previous-unschedulable": "false"}},
		},
		"DrainWithoutWaiting": {
			reason: "0 requests the evictions and does not wait for the pods", run: drain, wait: "0", holds: true,
			want: result{Outputs: map[string]string{"changed": "true", "previous-unschedulable": "false"}},
		},
		"DrainHeld": {
			reason: "there is no budget, so the message names none", run: drain, wait: "60", holds: true, atLeast: time.Minute, without: "budget",
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "production/ledger-0: it is terminating since", Outputs: map[string]string{"changed": "true", "previous-unschedulable": "false"}},
		},
		"DrainWhileTheAPIServerRestarts": {
			reason: "a transient error is retried", run: drain, wait: "300", refuses: time.Minute, err: unavailable, atLeast: time.Minute,
			want: result{Outputs: map[string]string{"changed": "true", "previous-unschedulable": "false"}},
		},
		"DrainWithTwoBudgets": {
			reason: "no retry helps", run: drain, wait: "300", refuses: always, err: twoBudgets,
			want: result{Exit: 64, Reason: "ActionFailed", Message: "more than one PodDisruptionBudget", Outputs: map[string]string{"changed": "true", "previous-unschedulable": "false"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, pod("ledger-0", owned), node()).replacesPods(false)
				if c.run.action == "drain-node" {
					f.evicts()
				}
				if c.holds {
					f.terminates()
				}
				if c.refuses > 0 {
					f.refusesEvictions(c.refuses, c.err)
				}
				begin := time.Now()
				c.run.parameters = with(c.run.parameters, "wait-seconds", c.wait)
				got := f.attempt(c.run)
				took := time.Since(begin)
				if wait := len(slices.DeleteFunc(slices.Clone(got.Writes), func(w string) bool { return w != "create pods/eviction" })); c.wait == "0" && wait != 1 {
					t.Errorf("%s\n%d requests for an eviction, want 1", c.reason, wait)
				}
				got.Writes = nil
				c.want.check(t, c.reason, got)
				if took < c.atLeast || c.atLeast == 0 && took > time.Second || took > 6*time.Minute {
					t.Errorf("%s\nit took %s", c.reason, took)
				}
				if c.without != "" && strings.Contains(got.Message, c.without) {
					t.Errorf("%s\nmessage %q", c.reason, got.Message)
				}
			})
		})
	}
}

// TestForgedMarks creates the event of a step before the step runs, as everyone can who can create events.
func TestForgedMarks(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"delete-pod", "restart-pod", "evict-pod"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, pod("ledger-0", owned)).replacesPods(true)
			dry := f.attempt(run{action: action, parameters: map[string]string{"pod": "ledger-0", "wait-seconds": "0"}})
			if dry.Exit != 0 {
				t.Fatalf("finding the name of the event: %+v", dry)
			}
			events, err := f.kube.Tracker().List(corev1.SchemeGroupVersion.WithResource("events"), corev1.SchemeGroupVersion.WithKind("Event"), namespace)
			if err != nil || len(events.(*corev1.EventList).Items) != 1 {
				t.Fatalf("events %v, %v", events, err)
			}
			forged := events.(*corev1.EventList).Items[0]
			forged.Annotations = map[string]string{annotationPrevious: `{"uid":"another","owner":"uid-of-ledger"}`}
			victim := newFixture(t, pod("ledger-0", owned), &forged).replacesPods(true)
			got := victim.attempt(run{action: action, parameters: map[string]string{"pod": "ledger-0"}})
			if got.Exit != 0 || got.Outputs["changed"] != "true" {
				t.Errorf("the forged event prevents the step: %+v", got)
			}
			if victim.isPod("ledger-0", "uid-of-ledger-0") {
				t.Errorf("the step reports success, and the pod still exists: %+v", got)
			}
		})
	}
}
