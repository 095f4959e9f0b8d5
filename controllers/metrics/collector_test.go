package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

type fakeSource struct {
	unended, ended []*wfev1.WorkflowExecution
	unendedErr     error
	unknown        bool // the parallel efficiency
	catalog        Catalog
	catalogErr     error
	noEngine       bool
	reads          int
}

func (s *fakeSource) IsEngineAvailable() bool { return !s.noEngine }

func (s *fakeSource) Catalog(ctx context.Context) (Catalog, error) {
	s.reads++
	if _, bounded := ctx.Deadline(); !bounded {
		return Catalog{}, errors.New("a scrape needs a deadline")
	}
	return s.catalog, s.catalogErr
}

func (s *fakeSource) VisitUnended(ctx context.Context, visit func(*wfev1.WorkflowExecution)) error {
	s.reads++
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("a scrape needs a deadline")
	}
	for _, wfe := range s.unended {
		visit(wfe)
	}
	return s.unendedErr
}

func (s *fakeSource) ParallelEfficiency(now time.Time) (float64, bool) {
	s.reads++
	account := &Efficiency{}
	for _, wfe := range s.ended {
		ended := wfe.DeepCopy()
		ended.Status.ExecutedSteps = ptr.To(int32(ExecutedSteps(&wfe.Status))) // as the controller records it at the end
		account.Add(ended)
	}
	ratio, known := account.Ratio(now)
	return ratio, known && !s.unknown
}

func live(namespace, name string, phase wfev1.Phase, start time.Time) *wfev1.WorkflowExecution {
	wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	wfe.Status.Phase = phase
	if !start.IsZero() {
		wfe.Status.StartTime = &metav1.Time{Time: start}
	}
	return wfe
}

func finished(end time.Time, executed int, parallel int32) *wfev1.WorkflowExecution {
	wfe := live("production", "ended", wfev1.PhaseCompleted, end.Add(-time.Minute))
	wfe.Status.CompletionTime = &metav1.Time{Time: end}
	wfe.Status.ParallelSteps = &parallel
	for i := range executed {
		wfe.Status.Steps = append(wfe.Status.Steps, step(fmt.Sprintf("step-%d", i), "restart-pod", wfev1.StepCompleted, 1, 2))
	}
	wfe.Status.ExecutedSteps = ptr.To(int32(executed))
	return wfe
}

func with(wfe *wfev1.WorkflowExecution, change func(*wfev1.WorkflowExecution)) *wfev1.WorkflowExecution {
	change(wfe)
	return wfe
}

func dryRun(wfe *wfev1.WorkflowExecution) { wfe.Spec.DryRun = true }

// gauges are the samples of an empty cache with the given changes.
func gauges(changes map[string]float64) map[string]float64 {
	want := map[string]float64{
		"active_total": 0, "workflows{Pending}": 0, "workflows{Running}": 0, "workflows{AwaitingApproval}": 0,
		"workflows{Suspended}": 0, "workflows{RollingBack}": 0, "catalog_broken_templates": 0,
		"catalog_actions": 0, "engine_available": 1,
	}
	for _, reason := range pendingReasons {
		want["pending{"+reason+"}"] = 0
	}
	for name, value := range changes {
		want[name] = value
	}
	return want
}

func without(series map[string]float64, names ...string) map[string]float64 {
	for _, name := range names {
		delete(series, name)
	}
	return series
}

func TestCollector(t *testing.T) {
	start := float64(epoch.Unix())
	hourAgo := present.Add(-time.Hour)
	tests := map[string]struct {
		reason         string
		unended, ended []*wfev1.WorkflowExecution
		notLeader      bool
		max            int
		want           map[string]float64
	}{
		"nothing": {
			reason: "phases exist at 0, and there is no efficiency of nothing",
			max:    10,
			want:   gauges(nil),
		},
		"phases": {
			reason: "only what runs has a start, and what is pending or has no phase yet is not active",
			max:    10,
			unended: []*wfev1.WorkflowExecution{
				live("a", "new", "", time.Time{}),
				live("a", "pending", wfev1.PhasePending, time.Time{}),
				live("a", "running", wfev1.PhaseRunning, epoch),
				live("b", "running", wfev1.PhaseRunning, epoch.Add(time.Second)),
				live("a", "awaiting", wfev1.PhaseAwaitingApproval, epoch),
				live("a", "suspended", wfev1.PhaseSuspended, epoch),
				live("a", "rolling-back", wfev1.PhaseRollingBack, epoch.Add(2*time.Second)),
			},
			want: gauges(map[string]float64{
				"active_total": 5, "workflows{Pending}": 2, "pending{Other}": 2, "workflows{Running}": 2, "workflows{AwaitingApproval}": 1,
				"workflows{Suspended}": 1, "workflows{RollingBack}": 1,
				"start_timestamp{running,a}": start, "start_timestamp{running,b}": start + 1,
				"start_timestamp{rolling-back,a}": start + 2,
			}),
		},
		"not the leader": {
			reason:    "replicas must not add up",
			max:       10,
			notLeader: true,
			unended:   []*wfev1.WorkflowExecution{live("a", "running", wfev1.PhaseRunning, epoch)},
			ended:     []*wfev1.WorkflowExecution{finished(present, 2, 1)},
			want:      map[string]float64{},
		},
		"dry runs": {
			reason: "a dry run is in no gauge",
			max:    10,
			unended: []*wfev1.WorkflowExecution{
				with(live("a", "running", wfev1.PhaseRunning, epoch), dryRun),
				with(live("a", "pending", wfev1.PhasePending, epoch), dryRun),
			},
			ended: []*wfev1.WorkflowExecution{with(finished(present, 2, 1), dryRun)},
			want:  gauges(nil),
		},
		"twice and too late": {
			reason: "a source that reads phase after phase may meet one twice or ended",
			max:    10,
			unended: []*wfev1.WorkflowExecution{
				live("a", "moves", wfev1.PhaseRunning, epoch),
				live("a", "moves", wfev1.PhaseRollingBack, epoch),
				live("a", "over", wfev1.PhaseCompleted, epoch),
				live("a", "odd", "MadeUp", epoch),
			},
			want: gauges(map[string]float64{"active_total": 1, "workflows{Running}": 1, "start_timestamp{moves,a}": start}),
		},
		"oldest": {
			reason: "the series are capped, and the oldest are the ones that may be stuck; equally old ones go by name",
			max:    3,
			unended: []*wfev1.WorkflowExecution{
				live("b", "two", wfev1.PhaseRunning, epoch.Add(time.Second)),
				live("a", "two", wfev1.PhaseRunning, epoch.Add(time.Second)),
				live("a", "one", wfev1.PhaseRunning, epoch.Add(time.Second)),
				live("z", "old", wfev1.PhaseRunning, epoch),
				live("a", "young", wfev1.PhaseRunning, epoch.Add(time.Hour)),
			},
			want: gauges(map[string]float64{
				"active_total": 5, "workflows{Running}": 5,
				"start_timestamp{old,z}": start, "start_timestamp{one,a}": start + 1, "start_timestamp{two,a}": start + 1,
			}),
		},
		"no starts": {
			reason:  "a bound below 1 turns the series off",
			max:     -1,
			unended: []*wfev1.WorkflowExecution{live("a", "running", wfev1.PhaseRunning, epoch)},
			want:    gauges(map[string]float64{"active_total": 1, "workflows{Running}": 1}),
		},
		"odd starts": {
			reason: "what runs counts, but an unset or a future start is none",
			max:    10,
			unended: []*wfev1.WorkflowExecution{
				live("a", "unset", wfev1.PhaseRunning, time.Time{}),
				live("a", "epoch", wfev1.PhaseRunning, time.Unix(0, 0)),
				live("a", "future", wfev1.PhaseRunning, present.Add(time.Hour)),
			},
			want: gauges(map[string]float64{"active_total": 3, "workflows{Running}": 3}),
		},
		"pauses": {
			reason: "an hour of waiting for an approval must not look like an hour of work; pauses that cannot be are not believed",
			max:    10,
			unended: []*wfev1.WorkflowExecution{
				with(live("a", "approved", wfev1.PhaseRunning, epoch), func(wfe *wfev1.WorkflowExecution) {
					wfe.Status.ApprovalWaitSeconds, wfe.Status.SuspendedSeconds = 3600, 60
				}),
				with(live("a", "odd", wfev1.PhaseRunning, epoch), func(wfe *wfev1.WorkflowExecution) {
					wfe.Status.ApprovalWaitSeconds, wfe.Status.SuspendedSeconds = math.MaxInt64, -60
				}),
			},
			want: gauges(map[string]float64{
				"active_total": 2, "workflows{Running}": 2,
				"start_timestamp{approved,a}": start + 3660, "start_timestamp{odd,a}": start,
			}),
		},
		"efficiency": {
			reason: "it is the ratio of the sums over what ended in the trailing hour, its first moment included",
			ended: []*wfev1.WorkflowExecution{
				finished(present, 4, 4),
				finished(hourAgo, 4, 0),
				finished(hourAgo.Add(-time.Second), 100, 100),
				finished(present.Add(time.Hour), 100, 100),
				live("a", "running", wfev1.PhaseRunning, epoch),
				live("a", "never completed", wfev1.PhaseFailed, epoch),
				with(finished(present, 100, 100), func(wfe *wfev1.WorkflowExecution) { wfe.Status.Phase = wfev1.PhaseRunning }),
			},
			want: gauges(map[string]float64{"parallel_execution_efficiency": 0.5}),
		},
		"efficiency of sequential steps": {
			reason: "0 is a ratio when steps were executed",
			ended:  []*wfev1.WorkflowExecution{finished(present, 3, 0)},
			want:   gauges(map[string]float64{"parallel_execution_efficiency": 0}),
		},
		"efficiency without steps": {
			reason: "0 divided by 0 is no number",
			ended:  []*wfev1.WorkflowExecution{finished(present, 0, 0)},
			want:   gauges(nil),
		},
		"efficiency of hostile statuses": {
			reason: "the ratio stays between 0 and 1",
			ended:  []*wfev1.WorkflowExecution{finished(present, 1, math.MaxInt32), finished(present, 1, -5)},
			want:   gauges(map[string]float64{"parallel_execution_efficiency": 0.5}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source := &fakeSource{unended: test.unended, ended: test.ended}
			collector := NewCollector(source, atPresent, func() bool { return !test.notLeader }, test.max)
			if diff := cmp.Diff(test.want, samples(t, registryOf(t, collector))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			if test.notLeader && source.reads > 0 {
				t.Error("a replica that is not the leader read the cache")
			}
		})
	}
}

// waits returns an execution that awaits approvals, of one step for each start.
func waits(namespace, name string, starts ...time.Time) *wfev1.WorkflowExecution {
	wfe := live(namespace, name, wfev1.PhaseAwaitingApproval, epoch)
	for i, start := range starts {
		ask := step(fmt.Sprintf("ask-%d", i), "", wfev1.StepAwaitingApproval, 0, 0)
		if !start.IsZero() {
			ask.StartTime = &metav1.Time{Time: start}
		}
		wfe.Status.Steps = append(wfe.Status.Steps, ask)
	}
	return wfe
}

func TestCollectorApprovals(t *testing.T) {
	start := float64(epoch.Unix())
	source := &fakeSource{unended: []*wfev1.WorkflowExecution{
		waits("flood", "one", epoch, epoch.Add(time.Second), epoch.Add(2*time.Second), epoch.Add(3*time.Second)),
		waits("quiet", "two", epoch.Add(time.Hour)),
		waits("odd", "three", time.Time{}, present.Add(time.Hour)),
		with(waits("quiet", "dry", epoch), dryRun),
		live("quiet", "running", wfev1.PhaseSuspended, epoch),
	}}
	want := gauges(map[string]float64{
		"active_total": 4, "workflows{AwaitingApproval}": 3, "workflows{Suspended}": 1,
		// Labels are sorted by name: name, namespace, step.
		"approval_requested_timestamp{one,flood,ask-0}": start,
		"approval_requested_timestamp{two,quiet,ask-0}": start + 3600,
		"approval_requested_timestamp{one,flood,ask-1}": start + 1,
	})
	collector := NewCollector(source, atPresent, func() bool { return true }, 3)
	if diff := cmp.Diff(want, samples(t, registryOf(t, collector))); diff != "" {
		t.Errorf("one namespace must not displace the approvals of another one (-want +got):\n%s", diff)
	}
}

func TestCollectorPending(t *testing.T) {
	condition := func(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: status, Reason: reason}
	}
	pending := func(name string, conditions ...metav1.Condition) *wfev1.WorkflowExecution {
		wfe := live("a", name, wfev1.PhasePending, time.Time{})
		wfe.Status.Conditions = conditions
		return wfe
	}
	source := &fakeSource{unended: []*wfev1.WorkflowExecution{
		pending("new"),
		pending("locked", condition(wfev1.ConditionAdmitted, metav1.ConditionFalse, wfev1.ReasonTargetLocked)),
		pending("full", condition(wfev1.ConditionAdmitted, metav1.ConditionFalse, wfev1.ReasonNamespaceFull)),
		pending("engine", condition(wfev1.ConditionReconciling, metav1.ConditionTrue, string(wfev1.ReasonEngineUnavailable))),
		pending("admitted", condition(wfev1.ConditionAdmitted, metav1.ConditionTrue, wfev1.ReasonTargetFree),
			condition(wfev1.ConditionReconciling, metav1.ConditionTrue, string(wfev1.ReasonNamespaceNotReady))),
		pending("forged", condition(wfev1.ConditionAdmitted, metav1.ConditionFalse, "MadeUp")),
	}}
	want := gauges(map[string]float64{
		"workflows{Pending}": 6, "pending{TargetLocked}": 1, "pending{NamespaceFull}": 1, "pending{EngineUnavailable}": 1,
		"pending{NamespaceNotReady}": 1, "pending{Other}": 2,
	})
	collector := NewCollector(source, atPresent, func() bool { return true }, 3)
	if diff := cmp.Diff(want, samples(t, registryOf(t, collector))); diff != "" {
		t.Errorf("each pending execution has one reason of the closed set (-want +got):\n%s", diff)
	}
}

// TestCollectorFollowsLeadership checks that every scrape evaluates leadership.
func TestCollectorFollowsLeadership(t *testing.T) {
	leader := false
	registry := registryOf(t, NewCollector(&fakeSource{}, atPresent, func() bool { return leader }, 1))
	for _, leader = range []bool{false, true, false} {
		if got := len(samples(t, registry)) > 0; got != leader {
			t.Errorf("samples: %v, leader: %v", got, leader)
		}
	}
}

func TestCollectorCountsTemplates(t *testing.T) {
	source := &fakeSource{catalog: Catalog{Actions: []string{"restart-pod", "drain-node"}, Broken: 3}}
	collector := NewCollector(source, atPresent, func() bool { return true }, 1)
	if diff := cmp.Diff(gauges(map[string]float64{"catalog_broken_templates": 3, "catalog_actions": 2}), samples(t, registryOf(t, collector))); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestCollectorSourceErrors(t *testing.T) {
	failure := errors.New("the cache is not started")
	unended := []*wfev1.WorkflowExecution{live("a", "running", wfev1.PhaseRunning, epoch)}
	ended := []*wfev1.WorkflowExecution{finished(present, 2, 1)}
	tests := map[string]struct {
		reason string
		source *fakeSource
		want   map[string]float64
	}{
		"unended": {
			reason: "a part of a number is no number",
			source: &fakeSource{unended: unended, ended: ended, unendedErr: failure},
			want:   map[string]float64{"parallel_execution_efficiency": 0.5, "catalog_broken_templates": 0, "catalog_actions": 0, "engine_available": 1},
		},
		"catalog": {
			reason: "the number of invalid templates is unknown while Argo is not installed",
			source: &fakeSource{catalogErr: failure, noEngine: true},
			want:   without(gauges(map[string]float64{"engine_available": 0}), "catalog_broken_templates", "catalog_actions"),
		},
		"ended": {
			reason: "the other gauges are not to blame",
			source: &fakeSource{unended: unended, ended: ended, unknown: true},
			want: gauges(map[string]float64{
				"active_total": 1, "workflows{Running}": 1, "start_timestamp{running,a}": float64(epoch.Unix()),
			}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			collector := NewCollector(test.source, atPresent, func() bool { return true }, 10)
			if diff := cmp.Diff(test.want, samples(t, registryOf(t, collector))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			page := scrape(t, registryOf(t, NewRecorder(), collector))
			if !strings.Contains(page, `workflowexecution_total{status="failed"} 0`) {
				t.Errorf("an error of the source cost the counters:\n%s", page)
			}
		})
	}
}

// scrape returns the text of a scrape. It fails on the first error, as the endpoint of the manager does.
func scrape(t testing.TB, gatherer prometheus.Gatherer) string {
	t.Helper()
	response := httptest.NewRecorder()
	handler := promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if response.Code != http.StatusOK {
		t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}
