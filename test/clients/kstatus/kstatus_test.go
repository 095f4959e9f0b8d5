package kstatus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/cluster"
)

// version is one version of an execution and the status that kstatus computes for it.
type version struct {
	phase                          wfev1.Phase
	status                         status.Status
	generation, observedGeneration int64
	// stale are the types of the conditions with an earlier generation than the status.
	stale []string
}

// recorder has the versions of each execution, in order.
type recorder struct {
	lock     sync.Mutex
	versions map[string][]version
}

// record watches all executions and computes the status of every version.
func record(t *testing.T, w *cluster.Cluster) *recorder {
	t.Helper()
	users, err := dynamic.NewForConfig(w.Config)
	if err != nil {
		t.Fatal(err)
	}
	executions := users.Resource(wfev1.GroupVersion.WithResource("workflowexecutions")).Namespace(cluster.Namespace)
	ctx, stop := context.WithCancel(context.Background())
	changes, err := executions.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	h := &recorder{versions: map[string][]version{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for change := range changes.ResultChan() {
			object, isObject := change.Object.(*unstructured.Unstructured)
			switch {
			case ctx.Err() != nil: // the test is over
				return
			case !isObject:
				t.Errorf("the watch broke: %v", change.Object)
				return
			}
			h.note(t, object)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return h
}

func (h *recorder) note(t *testing.T, object *unstructured.Unstructured) {
	result, err := status.Compute(object)
	if err != nil {
		t.Errorf("%s: %v", object.GetName(), err)
		return
	}
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	v := version{phase: wfev1.Phase(phase), status: result.Status, generation: object.GetGeneration(), observedGeneration: observed}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if of, _, _ := unstructured.NestedInt64(condition, "observedGeneration"); of != observed {
			kind, _, _ := unstructured.NestedString(condition, "type")
			v.stale = append(v.stale, kind)
		}
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	h.versions[object.GetName()] = append(h.versions[object.GetName()], v)
}

func (h *recorder) of(name string) []version {
	h.lock.Lock()
	defer h.lock.Unlock()
	return slices.Clone(h.versions[name])
}

// wanted returns the expected status of an execution whose current generation is observed.
func wanted(phase wfev1.Phase) status.Status {
	switch phase {
	case wfev1.PhaseCompleted, wfev1.PhaseCancelled: // a cancelled execution matches its specification
		return status.CurrentStatus
	case wfev1.PhaseFailed:
		return status.FailedStatus
	case wfev1.PhasePending, wfev1.PhaseRunning, wfev1.PhaseAwaitingApproval, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
	}
	return status.InProgressStatus
}

// TestEveryVersion runs executions through every phase and verifies the status of each of their versions.
func TestEveryVersion(t *testing.T) {
	w := cluster.Start(t)
	h := record(t, w)
	create := func(wfe *wfev1.WorkflowExecution, steps ...wfev1.Step) {
		t.Helper()
		wfe.Spec.Steps = steps
		if err := w.Admin.Create(t.Context(), wfe); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(name string) wfev1.Step { return cluster.Step(name, "wait", "seconds", "1") }
	undone := wait("first")
	undone.Rollback = &wfev1.Rollback{Action: "wait", Parameters: wait("").Parameters}

	create(cluster.Execution("completes"), wait("first"), cluster.After(wait("second"), "first"))
	create(cluster.Execution("fails"), undone, cluster.After(wait("fail-second"), "first"))
	create(cluster.Execution("invalid"), cluster.Step("first", "no-such-action"))
	create(cluster.Execution("cancelled"), wait("hang-first"))
	create(cluster.Execution("suspended"), wait("hang-first"), cluster.After(wait("second"), "hang-first"))
	create(cluster.Execution("waits"), wfev1.Step{Name: "ask", Approval: &wfev1.ApprovalRequest{}}, cluster.After(wait("second"), "ask"))
	holder := cluster.Execution("holder")
	create(holder, wait("hang-first"))
	w.WaitPhase(t, "holder", wfev1.PhaseRunning)
	locked := cluster.Execution("locked")
	locked.Spec.Target = holder.Spec.Target
	create(locked, wait("first"))

	w.WaitPhase(t, "waits", wfev1.PhaseAwaitingApproval)
	w.Change(t, "waits", func(spec *wfev1.WorkflowExecutionSpec) {
		spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol"}}
	})
	w.WaitPhase(t, "cancelled", wfev1.PhaseRunning)
	w.Change(t, "cancelled", func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = wfev1.CancelStop })
	w.WaitPhase(t, "suspended", wfev1.PhaseRunning)
	w.Change(t, "suspended", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })
	w.Release(t, "suspended")
	w.WaitPhase(t, "suspended", wfev1.PhaseSuspended)
	w.Change(t, "suspended", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = false })
	w.WaitPhase(t, "locked", wfev1.PhasePending)
	w.Release(t, "holder")

	ends := map[string]wfev1.Phase{
		"completes": wfev1.PhaseCompleted, "fails": wfev1.PhaseFailed, "invalid": wfev1.PhaseFailed, "cancelled": wfev1.PhaseCancelled,
		"suspended": wfev1.PhaseCompleted, "waits": wfev1.PhaseCompleted, "holder": wfev1.PhaseCompleted, "locked": wfev1.PhaseCompleted,
	}
	for name, phase := range ends {
		w.WaitPhase(t, name, phase)
	}
	// An edit after the end changes nothing, but the controller observes it.
	w.Change(t, "completes", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })
	w.Wait(t, "completes", "observed", func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.ObservedGeneration == wfe.Generation })
	terminating(t, w, "invalid")

	seen := map[wfev1.Phase]bool{}
	for name := range ends {
		versions := h.until(t, w, name)
		if first := versions[0]; first.phase != "" || first.status != status.InProgressStatus {
			t.Errorf("%s: the first version has phase %q and status %s", name, first.phase, first.status)
		}
		for _, v := range versions {
			want := wanted(v.phase)
			if v.generation != v.observedGeneration {
				want = status.InProgressStatus
			}
			if v.status != want && v.status != status.TerminatingStatus {
				t.Errorf("%s: phase %q, generation %d, observed generation %d: status %s, want %s", name, v.phase, v.generation, v.observedGeneration, v.status, want)
			}
			if len(v.stale) > 0 {
				t.Errorf("%s: phase %q: kubectl wait ignores %v, which have an earlier generation", name, v.phase, v.stale)
			}
			seen[v.phase] = true
		}
	}
	for _, phase := range wfev1.Phases {
		if !seen[phase] {
			t.Errorf("no execution was in phase %s; the phases were %v", phase, slices.Collect(maps.Keys(seen)))
		}
	}
}

// until returns the versions of an execution up to its current one.
func (h *recorder) until(t *testing.T, w *cluster.Cluster, name string) []version {
	t.Helper()
	now := w.Wait(t, name, "there", func(*wfev1.WorkflowExecution) bool { return true })
	for {
		versions := h.of(name)
		if n := len(versions); n > 0 && versions[n-1].phase == now.Status.Phase && versions[n-1].generation == now.Generation {
			return versions
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the watch did not deliver the current version of %s", name)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// terminating verifies the status of an execution that is being deleted.
func terminating(t *testing.T, w *cluster.Cluster, name string) {
	t.Helper()
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: name}
	wfe := &wfev1.WorkflowExecution{}
	if err := w.Admin.Get(t.Context(), key, wfe); err != nil {
		t.Fatal(err)
	}
	held := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/held"]}}`))
	if err := w.Admin.Patch(t.Context(), wfe, held); err != nil {
		t.Fatal(err)
	}
	if err := w.Admin.Delete(t.Context(), wfe); err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	if err := w.Admin.Get(t.Context(), key, object); err != nil {
		t.Fatal(err)
	}
	if result, err := status.Compute(object); err != nil || result.Status != status.TerminatingStatus {
		t.Errorf("%s is being deleted, but its status is %v (%v)", name, result, err)
	}
}
