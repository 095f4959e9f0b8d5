package actions

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

var podsResource = corev1.SchemeGroupVersion.WithResource("pods")

func pod(name string, tune ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: types.UID("uid-of-" + name), Labels: map[string]string{"app": "payment-api"},
			CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, f := range tune {
		f(p)
	}
	return p
}

func owned(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet", Name: "ledger", UID: "uid-of-ledger", Controller: ptr.To(true),
	}}
}

func failed(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
}

func unready(p *corev1.Pod) { p.Status.Conditions = nil }

// replacesPods sets the creation time of events, makes evictions delete, and replaces every deleted pod that has an owner
// under the same name, first not Ready, then Ready if becomesReady is true.
func (f *fixture) replacesPods(becomesReady bool) *fixture {
	f.kube.PrependReactor("create", "events", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if !isDryRun(action) {
			action.(clienttesting.CreateActionImpl).Object.(*corev1.Event).CreationTimestamp = metav1.Now()
		}
		return false, nil, nil
	})
	remove := func(name string) error {
		found, err := f.kube.Tracker().Get(podsResource, namespace, name)
		if err != nil {
			return err
		}
		if err := f.kube.Tracker().Delete(podsResource, namespace, name); err != nil {
			return err
		}
		if old := found.(*corev1.Pod); len(old.OwnerReferences) > 0 {
			f.controllers.Go(func() { f.replacePod(old, becomesReady) })
		}
		return nil
	}
	f.kube.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) {
			return false, nil, nil
		}
		a := action.(clienttesting.DeleteActionImpl)
		if uid := a.DeleteOptions.Preconditions.UID; !f.isPod(a.Name, *uid) {
			return true, nil, apierrors.NewConflict(groupResource("", "pods"), a.Name, errors.New("the UID in the precondition"))
		}
		return true, nil, remove(a.Name)
	})
	f.kube.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) || action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		object, err := metaAccessor(action)
		if err != nil {
			return true, nil, err
		}
		return true, nil, remove(object.GetName())
	})
	return f
}

func metaAccessor(action clienttesting.Action) (metav1.Object, error) {
	create, ok := action.(clienttesting.CreateAction)
	if !ok {
		return nil, fmt.Errorf("not a create: %v", action)
	}
	object, ok := create.GetObject().(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("not an object: %v", action)
	}
	return object, nil
}

func (f *fixture) isPod(name string, uid types.UID) bool {
	found, err := f.kube.Tracker().Get(podsResource, namespace, name)
	return err == nil && found.(*corev1.Pod).UID == uid
}

func (f *fixture) replacePod(old *corev1.Pod, becomesReady bool) {
	fresh := old.DeepCopy()
	fresh.UID, fresh.CreationTimestamp, fresh.Status = old.UID+"-again", metav1.Now(), corev1.PodStatus{}
	sleep(20 * time.Millisecond)
	if err := f.kube.Tracker().Create(podsResource, fresh, namespace); err != nil {
		f.t.Errorf("the controller of the test: %v", err)
	}
	if !becomesReady {
		return
	}
	sleep(20 * time.Millisecond)
	ready := fresh.DeepCopy()
	ready.Status = pod("ready").Status
	if err := f.kube.Tracker().Update(podsResource, ready, namespace); err != nil {
		f.t.Errorf("the controller of the test: %v", err)
	}
}

func (f *fixture) podNames() []string {
	f.t.Helper()
	var names []string
	found, err := f.kube.Tracker().List(podsResource, corev1.SchemeGroupVersion.WithKind("Pod"), namespace)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range found.(*corev1.PodList).Items {
		names = append(names, p.Name)
	}
	return names
}

func TestRemovePods(t *testing.T) {
	t.Parallel()
	target := map[string]string{"pod": "ledger-0"}
	changed := map[string]string{"changed": "true"}
	restarted := with(changed, "replacement", "ledger-0")
	writes := []string{"create events", "delete pods"}
	evictions := []string{"create events", "create pods/eviction"}
	tooMany := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	unchanged := map[string]string{"changed": "false"}
	notFound := result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`, Outputs: unchanged}
	cases := map[string]struct {
		reason      string
		action      string
		pod         *corev1.Pod
		more        []runtime.Object
		neverReady  bool
		prepare     func(*fixture)
		parameters  map[string]string
		want, again result
		pods        []string
	}{
		"Restart": {
			reason: "a retry waits for the same replacement and deletes nothing more", action: "restart-pod", pod: pod("ledger-0", owned),
			want: result{Outputs: restarted, Writes: writes}, again: result{Outputs: restarted, Writes: []string{"delete pods"}},
			pods: []string{"ledger-0"},
		},
		"RestartDryRun": {
			reason: "nothing is deleted", action: "restart-pod", pod: pod("ledger-0", owned), parameters: with(target, "dry-run", "true"),
			want: result{Outputs: with(changed, "replacement", ""), Writes: writes}, again: result{Outputs: with(changed, "replacement", ""), Writes: writes},
			pods: []string{"ledger-0"},
		},
		"RestartUnowned": {
			reason: "no controller replaces it", action: "restart-pod", pod: pod("ledger-0"),
			want: result{Exit: 64, Reason: "ActionFailed", Message: "use delete-pod", Outputs: unchanged}, again: result{Exit: 64, Reason: "ActionFailed", Message: "use delete-pod", Outputs: unchanged},
			pods: []string{"ledger-0"},
		},
		"RestartNeverReady": {
			reason: "the message names the replacement", action: "restart-pod", pod: pod("ledger-0", owned), neverReady: true,
			parameters: with(target, "wait-seconds", "1"),
			want:       result{Exit: 1, Reason: "DeadlineExceeded", Message: "its replacement ledger-0 is not Ready", Outputs: changed, Writes: writes},
			again:      result{Exit: 1, Reason: "DeadlineExceeded", Message: "is not Ready", Outputs: changed, Writes: []string{"delete pods"}},
			pods:       []string{"ledger-0"},
		},
		"RestartBesideASibling": {
			reason: "an older pod is not the replacement", action: "restart-pod", pod: pod("ledger-0", owned), neverReady: true,
			more: []runtime.Object{pod("ledger-1", owned)}, parameters: with(target, "wait-seconds", "1"),
			want:  result{Exit: 1, Reason: "DeadlineExceeded", Message: "its replacement ledger-0 is not Ready", Outputs: changed, Writes: writes},
			again: result{Exit: 1, Reason: "DeadlineExceeded", Message: "is not Ready", Outputs: changed, Writes: []string{"delete pods"}},
			pods:  []string{"ledger-0", "ledger-1"},
		},
		"RestartNotFound": {
			reason: "the message names the pod", action: "restart-pod", pod: pod("ledger-0", owned), parameters: map[string]string{"pod": "other"},
			want: notFound, again: notFound, pods: []string{"ledger-0"},
		},
		"Delete": {
			reason: "a retry that finds no pod succeeds", action: "delete-pod", pod: pod("ledger-0"),
			parameters: with(target, "grace-period-seconds", "0"),
			want:       result{Outputs: changed, Writes: writes}, again: result{Outputs: changed, Writes: []string{"delete pods"}},
		},
		"DeleteForbidden": {
			reason: "the message names the role", action: "delete-pod", pod: pod("ledger-0"),
			prepare: func(f *fixture) {
				f.failAlways("delete", "pods", apierrors.NewForbidden(groupResource("", "pods"), "ledger-0", errors.New("cannot delete")))
			},
			want: result{
				Exit: 64, Reason: "Forbidden", Message: "bind ClusterRole workflowexecution-action-delete-pod", Outputs: unchanged, Writes: writes,
			},
			again: result{Exit: 64, Reason: "Forbidden", Message: "cannot delete", Outputs: unchanged, Writes: []string{"delete pods"}},
			pods:  []string{"ledger-0"},
		},
		"Evict": {
			reason: "evicted once", action: "evict-pod", pod: pod("ledger-0"),
			want: result{Outputs: changed, Writes: evictions}, again: result{Outputs: changed, Writes: []string{"create pods/eviction"}},
		},
		"EvictAfterABudget": {
			reason: "a budget that refuses now may allow the eviction later", action: "evict-pod", pod: pod("ledger-0"),
			prepare: func(f *fixture) { f.failOnce("create", "pods", tooMany) },
			want:    result{Outputs: changed, Writes: append(evictions, "create pods/eviction")},
			again:   result{Outputs: changed, Writes: []string{"create pods/eviction"}},
		},
		"EvictNever": {
			reason: "the message contains the budget's refusal", action: "evict-pod", pod: pod("ledger-0"), parameters: with(target, "wait-seconds", "1"),
			prepare: func(f *fixture) { f.failAlways("create", "pods", tooMany) },
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "violate the pod's disruption budget", Outputs: unchanged,
				Writes: append(evictions, "create pods/eviction"),
			},
			again: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "get poddisruptionbudgets", Outputs: unchanged,
				Writes: []string{"create pods/eviction", "create pods/eviction"},
			},
			pods: []string{"ledger-0"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.parameters == nil {
				c.parameters = target
			}
			f := newFixture(t, append(c.more, c.pod)...).replacesPods(!c.neverReady)
			if c.prepare != nil {
				c.prepare(f)
			}
			c.want.check(t, c.reason, f.attempt(run{action: c.action, parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: c.action, parameters: c.parameters}))
			if diff := cmp.Diff(c.pods, f.podNames()); diff != "" {
				t.Errorf("%s\npods (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRestartPodCrashedBeforeDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pod("ledger-0", owned)).replacesPods(true)
	f.failOnce("delete", "pods", errors.New("killed here"))
	if got := f.attempt(run{action: "restart-pod", parameters: map[string]string{"pod": "ledger-0"}}); got.Exit != 1 {
		t.Fatalf("the first attempt ends early: %+v", got)
	}
	want := result{Outputs: map[string]string{"changed": "true", "replacement": "ledger-0"}, Writes: []string{"delete pods"}}
	want.check(t, "the retry continues from the mark", f.attempt(run{action: "restart-pod", parameters: map[string]string{"pod": "ledger-0"}}))
	if !f.isPod("ledger-0", "uid-of-ledger-0-again") {
		t.Error("the pod was replaced once")
	}
}

func TestDeleteFailedPods(t *testing.T) {
	t.Parallel()
	step := func(p *corev1.Pod) { p.Labels[labelWorkflow] = "other-workflow" }
	young := func(p *corev1.Pod) { p.CreationTimestamp = metav1.Now() }
	pods := func() []runtime.Object {
		return []runtime.Object{
			pod("running"), pod("failed-1", failed), pod("failed-2", failed, young), pod("of-a-workflow", failed, step),
			pod("other-app", failed, func(p *corev1.Pod) { p.Labels["app"] = "other" }),
		}
	}
	cases := map[string]struct {
		reason      string
		parameters  map[string]string
		want, again result
		pods        []string
	}{
		"All": {
			reason: "pods of workflows are not touched, and a retry reports what the first attempt found", parameters: map[string]string{},
			want:  result{Outputs: map[string]string{"changed": "true", "deleted": "3"}, Writes: []string{"create events", "delete pods", "delete pods", "delete pods"}},
			again: result{Outputs: map[string]string{"changed": "true", "deleted": "3"}},
			pods:  []string{"of-a-workflow", "running"},
		},
		"SelectedAndOld": {
			reason: "only what matches", parameters: map[string]string{"selector": "app=payment-api", "older-than-seconds": "600"},
			want:  result{Outputs: map[string]string{"changed": "true", "deleted": "1"}, Writes: []string{"create events", "delete pods"}},
			again: result{Outputs: map[string]string{"changed": "true", "deleted": "1"}},
			pods:  []string{"failed-2", "of-a-workflow", "other-app", "running"},
		},
		"None": {
			reason: "nothing to change", parameters: map[string]string{"selector": "app=none"},
			want:  result{Outputs: map[string]string{"changed": "false", "deleted": "0"}},
			again: result{Outputs: map[string]string{"changed": "false", "deleted": "0"}},
			pods:  []string{"failed-1", "failed-2", "of-a-workflow", "other-app", "running"},
		},
		"DryRun": {
			reason: "the outputs report what would be deleted", parameters: map[string]string{"selector": "app=other", "dry-run": "true"},
			want:  result{Outputs: map[string]string{"changed": "true", "deleted": "1"}, Writes: []string{"create events", "delete pods"}},
			again: result{Outputs: map[string]string{"changed": "true", "deleted": "1"}, Writes: []string{"create events", "delete pods"}},
			pods:  []string{"failed-1", "failed-2", "of-a-workflow", "other-app", "running"},
		},
		"BadSelector": {
			reason: "rejected before any request to the API server", parameters: map[string]string{"selector": "a in"},
			want:  result{Exit: 64, Reason: "InvalidSpec", Message: "must be a label selector"},
			again: result{Exit: 64, Reason: "InvalidSpec", Message: "must be a label selector"},
			pods:  []string{"failed-1", "failed-2", "of-a-workflow", "other-app", "running"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, pods()...).replacesPods(true)
			c.want.check(t, c.reason, f.attempt(run{action: "delete-failed-pods", parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: "delete-failed-pods", parameters: c.parameters}))
			if diff := cmp.Diff(c.pods, f.podNames()); diff != "" {
				t.Errorf("%s\npods (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestWaitAndVerifyPods(t *testing.T) {
	t.Parallel()
	target := map[string]string{"selector": "app=payment-api"}
	cases := map[string]struct {
		reason    string
		pods      []runtime.Object
		heal      string
		run       run
		want      result
		atLeast   time.Duration
		stopAfter time.Duration
	}{
		"Wait": {
			reason: "it waits for the given time", run: run{action: "wait", parameters: map[string]string{"seconds": "1"}}, atLeast: time.Second,
			want: result{Outputs: map[string]string{"waited-seconds": "1"}},
		},
		"WaitDryRun": {
			reason: "a dry run waits for nothing", run: run{action: "wait", parameters: map[string]string{"seconds": "600", "dry-run": "true"}},
			want: result{Outputs: map[string]string{"waited-seconds": "0"}},
		},
		"WaitStopped": {
			reason: "a signal ends it", run: run{action: "wait", parameters: map[string]string{"seconds": "600"}, stopAfter: 100 * time.Millisecond},
			want: result{Exit: 143, Reason: "ActionFailed", Message: "stopped"},
		},
		"Ready": {
			reason: "pods that have ended are ignored", pods: []runtime.Object{pod("a"), pod("b"), pod("c", failed)},
			run:  run{action: "verify-pods", parameters: with(target, "min-ready", "2")},
			want: result{Outputs: map[string]string{"healthy": "true", "pods": "2", "ready-pods": "2"}},
		},
		"BecomesReady": {
			reason: "it waits", pods: []runtime.Object{pod("a"), pod("b", unready)}, heal: "b",
			run:  run{action: "verify-pods", parameters: target},
			want: result{Outputs: map[string]string{"healthy": "true", "pods": "2", "ready-pods": "2"}},
		},
		"TooFew": {
			reason: "the message contains the numbers", pods: []runtime.Object{pod("a")},
			run: run{action: "verify-pods", parameters: with(target, "min-ready", "2", "wait-seconds", "1")},
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "1 of 1 pods are Ready, at least 2 are required",
				Outputs: map[string]string{"healthy": "false", "pods": "1", "ready-pods": "1"},
			},
		},
		"None": {
			reason: "a selector that selects no pod is a failure", run: run{action: "verify-pods", parameters: with(target, "wait-seconds", "1")},
			want: result{
				Exit: 1, Reason: "DeadlineExceeded", Message: "0 of 0 pods are Ready, at least 1 are required",
				Outputs: map[string]string{"healthy": "false", "pods": "0", "ready-pods": "0"},
			},
		},
		"Stable": {
			reason: "it watches for stable-seconds", pods: []runtime.Object{pod("a")}, atLeast: time.Second,
			run:  run{action: "verify-pods", parameters: with(target, "stable-seconds", "1")},
			want: result{Outputs: map[string]string{"healthy": "true", "pods": "1", "ready-pods": "1"}},
		},
		"DryRun": {
			reason: "the state is reported and no failure", pods: []runtime.Object{pod("a", unready)},
			run:  run{action: "verify-pods", parameters: with(target, "dry-run", "true")},
			want: result{Outputs: map[string]string{"healthy": "false", "pods": "1", "ready-pods": "0"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.pods...)
			if c.heal != "" {
				f.controllers.Go(func() {
					sleep(200 * time.Millisecond)
					if err := f.kube.Tracker().Update(podsResource, pod(c.heal), namespace); err != nil {
						t.Error(err)
					}
				})
			}
			begin := time.Now()
			c.want.check(t, c.reason, f.attempt(c.run))
			if took := time.Since(begin); took < c.atLeast {
				t.Errorf("%s\nit took %s", c.reason, took)
			}
		})
	}
}

// evicts makes evictions delete the pod, and adds them to discovery.
func (f *fixture) evicts() {
	f.kube.Resources = []*metav1.APIResourceList{{
		GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1"}},
	}}
	f.kube.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) || action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		object, err := metaAccessor(action)
		if err != nil {
			return true, nil, err
		}
		return true, nil, f.kube.Tracker().Delete(podsResource, namespace, object.GetName())
	})
}

func daemonSetOf(name string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "uid-of-ledger"}}
}
