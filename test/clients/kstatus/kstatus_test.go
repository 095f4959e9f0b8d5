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
	"github.com/kubernaut-io/workflowexecution/test/clients/internal/world"
)

// moment is what was to be seen of an execution at a time.
type moment struct {
	phase              wfev1.Phase
	says               status.Status
	generation, deemed int64
	// stale is the types of conditions that are of an earlier generation than the status.
	stale []string
}

// history is what the executions looked like, one moment after another.
type history struct {
	lock    sync.Mutex
	moments map[string][]moment
}

// record watches all executions and asks the library about every version of each.
func record(t *testing.T, w *world.World) *history {
	t.Helper()
	users, err := dynamic.NewForConfig(w.Config)
	if err != nil {
		t.Fatal(err)
	}
	executions := users.Resource(wfev1.GroupVersion.WithResource("workflowexecutions")).Namespace(world.Namespace)
	ctx, stop := context.WithCancel(context.Background())
	changes, err := executions.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	h := &history{moments: map[string][]moment{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for change := range changes.ResultChan() {
			object, isObject := change.Object.(*unstructured.Unstructured)
			switch {
			case ctx.Err() != nil: // it has seen enough
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

func (h *history) note(t *testing.T, object *unstructured.Unstructured) {
	result, err := status.Compute(object)
	if err != nil {
		t.Errorf("%s: %v", object.GetName(), err)
		return
	}
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	deemed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	m := moment{phase: wfev1.Phase(phase), says: result.Status, generation: object.GetGeneration(), deemed: deemed}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if of, _, _ := unstructured.NestedInt64(condition, "observedGeneration"); of != deemed {
			kind, _, _ := unstructured.NestedString(condition, "type")
			m.stale = append(m.stale, kind)
		}
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	h.moments[object.GetName()] = append(h.moments[object.GetName()], m)
}

func (h *history) of(name string) []moment {
	h.lock.Lock()
	defer h.lock.Unlock()
	return slices.Clone(h.moments[name])
}

// wanted is what the library is to say of an execution that the controller has looked at.
func wanted(phase wfev1.Phase) status.Status {
	switch phase {
	case wfev1.PhaseCompleted, wfev1.PhaseCancelled: // a cancelled one is as its specification asks for
		return status.CurrentStatus
	case wfev1.PhaseFailed:
		return status.FailedStatus
	case wfev1.PhasePending, wfev1.PhaseRunning, wfev1.PhaseAwaitingApproval, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
	}
	return status.InProgressStatus
}

// TestEveryMoment lets executions go every way that there is, and holds every version that the API server ever had of
// them to what should be said of it.
func TestEveryMoment(t *testing.T) {
	w := world.Start(t)
	h := record(t, w)
	create := func(wfe *wfev1.WorkflowExecution, steps ...wfev1.Step) {
		t.Helper()
		wfe.Spec.Steps = steps
		if err := w.Admin.Create(t.Context(), wfe); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(name string) wfev1.Step { return world.Step(name, "wait", "seconds", "1") }
	undone := wait("first")
	undone.Rollback = &wfev1.Rollback{Action: "wait", Parameters: wait("").Parameters}

	create(world.Execution("completes"), wait("first"), world.After(wait("second"), "first"))
	create(world.Execution("fails"), undone, world.After(wait("fail-second"), "first"))
	create(world.Execution("invalid"), world.Step("first", "no-such-action"))
	create(world.Execution("cancelled"), wait("hang-first"))
	create(world.Execution("suspended"), wait("hang-first"), world.After(wait("second"), "hang-first"))
	create(world.Execution("waits"), wfev1.Step{Name: "ask", Approval: &wfev1.ApprovalRequest{}}, world.After(wait("second"), "ask"))
	holder := world.Execution("holder")
	create(holder, wait("hang-first"))
	w.WaitPhase(t, "holder", wfev1.PhaseRunning)
	locked := world.Execution("locked")
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
	// What is edited after the end changes nothing, and is seen.
	w.Change(t, "completes", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })
	w.Wait(t, "completes", "observed", func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.ObservedGeneration == wfe.Generation })
	terminating(t, w, "invalid")

	seen := map[wfev1.Phase]bool{}
	for name := range ends {
		moments := h.until(t, w, name)
		if first := moments[0]; first.phase != "" || first.says != status.InProgressStatus {
			t.Errorf("%s: before the controller has seen it, it is %q and %s", name, first.phase, first.says)
		}
		for _, m := range moments {
			want := wanted(m.phase)
			if m.generation != m.deemed {
				want = status.InProgressStatus
			}
			if m.says != want && m.says != status.TerminatingStatus {
				t.Errorf("%s: in phase %q, generation %d of which %d is seen, it is %s and not %s", name, m.phase, m.generation, m.deemed, m.says, want)
			}
			if len(m.stale) > 0 {
				t.Errorf("%s: in phase %q kubectl wait passes over %v: they are of an earlier generation", name, m.phase, m.stale)
			}
			seen[m.phase] = true
		}
	}
	for _, phase := range wfev1.Phases {
		if !seen[phase] {
			t.Errorf("no execution was in phase %s; there were %v", phase, slices.Collect(maps.Keys(seen)))
		}
	}
}

// until is an execution's history up to how it is now.
func (h *history) until(t *testing.T, w *world.World, name string) []moment {
	t.Helper()
	now := w.Wait(t, name, "there", func(*wfev1.WorkflowExecution) bool { return true })
	for {
		moments := h.of(name)
		if n := len(moments); n > 0 && moments[n-1].phase == now.Status.Phase && moments[n-1].generation == now.Generation {
			return moments
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the watch has not told how %s is now", name)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// terminating holds that an execution that is being deleted is said to be.
func terminating(t *testing.T, w *world.World, name string) {
	t.Helper()
	key := client.ObjectKey{Namespace: world.Namespace, Name: name}
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
		t.Errorf("%s is being deleted, and is %v (%v)", name, result, err)
	}
}
