package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/finished"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxTurns bounds a play. One with more turns does not end at all.
const maxTurns = 400

// errStopped is the result of the calls of a stopped controller.
var errStopped = errors.New("this controller is stopped")

// simulation plays a namespace in turns: users, the controller, Argo, the garbage collector and the clock act, each only when
// those before it have nothing to do. The API server is a real one. The queue and the cache of the manager are simulated, so that
// a play is reproducible and can stop at any moment, and so that only watches, errors and timers wake the controller.
type simulation struct {
	ns          string
	clock       *shiftedClock
	calls       *faultClient
	log         *strings.Builder
	argo        simulator.Argo
	script      simulator.Script
	userActions []userAction

	// api is the client of users, Argo and the garbage collector.
	api      client.WithWatch
	stored   *simulator.Objects // the objects in the API server
	outdated bool               // stored must be read again
	cache    *simulator.Cache
	queue    *simulator.Queue
	last     map[string]*wfev1.WorkflowExecution // the last known state, also of deleted executions
	// starts is the number of starts of each attempt of each step, by the name of its node.
	starts map[string]int

	// maxLive is a setting of the next controller. Zero is no limit.
	maxLive    int
	reconciler *controllers.Reconciler
	registries []*prometheus.Registry
	stopped    bool
}

// userAction is an action that a user performs once, as soon as its condition holds.
type userAction struct {
	when func(s *simulation) bool
	do   func(s *simulation) error
}

// newSimulation makes a simulation in an empty namespace.
func newSimulation(namespace string, userActions []userAction) *simulation {
	s := &simulation{
		ns: namespace, clock: &shiftedClock{}, calls: newFaultClient(), log: &strings.Builder{}, userActions: slices.Clone(userActions),
		stored: simulator.NewObjects(), outdated: true,
		last: map[string]*wfev1.WorkflowExecution{}, starts: map[string]int{},
	}
	s.api = s.recordWrites(admin)
	s.argo = simulator.Argo{Now: s.clock.Now}
	s.calls.log = s.log
	s.clearCache()
	s.startController()
	return s
}

// clearCache empties the cache, as a new process does.
func (s *simulation) clearCache() {
	s.cache = simulator.NewCache(s.recordWrites(simulationClient), templates(), finished.Transform)
}

// newSimulationNamespace makes a namespace for simulations, one after another.
func newSimulationNamespace() string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "simulation-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: serviceAccount}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	return namespace.Name
}

// startController starts a new controller in place of the last one.
func (s *simulation) startController() {
	recorder := metrics.NewRecorder(metrics.WithClock(s.clock.Now))
	recorder.SetActions(catalogNames())
	registry := prometheus.NewRegistry()
	registry.MustRegister(recorder)
	s.registries = append(s.registries, registry)
	s.reconciler = controllers.NewReconciler(
		controllers.Dependencies{
			Client: s.calls.wrap(s.cache, false), Live: s.calls.wrap(simulationClient, true), Finished: s.cache.Finished, Clock: s.clock, Events: &events.FakeRecorder{}, Metrics: recorder,
		},
		controllers.Settings{
			Namespaces:     []string{s.ns}, // other simulations have other namespaces
			DefaultTimeout: defaultTimeout, MaxLivePerNamespace: s.maxLive, Workflow: translate.Options{ServiceAccountName: serviceAccount},
		},
	)
	s.queue, s.stopped = simulator.NewQueue(), false
	watches := controllers.Watches(s.reconciler, scheme, admin.RESTMapper())
	must(s.cache.Restart(ctx, watches, s.queue, controllers.AddIndices(s.reconciler)))
	fmt.Fprintln(s.log, "-- a controller starts")
}

// play runs turns until nothing happens any more, or the controller is stopped.
func (s *simulation) play() error {
	turns := []func() (bool, error){s.runUserAction, s.runController, s.runArgo, s.deleteOrphans, s.advanceClock}
	for range maxTurns {
		if err := s.refresh(); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(s.names())) {
			s.cache.Deliver(ctx, s.stored, name)
		}
		acted, err := false, error(nil)
		for _, turn := range turns {
			if acted, err = turn(); acted || err != nil {
				break
			}
		}
		if err != nil || !acted || s.stopped {
			return err
		}
	}
	return errors.New("the play does not end")
}

// refresh reads the stored objects if they are outdated.
func (s *simulation) refresh() error {
	if s.outdated {
		executions, workflows := &wfev1.WorkflowExecutionList{}, &wfv1.WorkflowList{}
		if err := errors.Join(admin.List(ctx, executions, client.InNamespace(s.ns)), admin.List(ctx, workflows, client.InNamespace(s.ns))); err != nil {
			return err
		}
		s.stored, s.outdated = simulator.NewObjects(), false
		for i := range executions.Items {
			s.stored.Put(&executions.Items[i])
		}
		for i := range workflows.Items {
			s.stored.Put(&workflows.Items[i])
		}
	}
	maps.Copy(s.last, s.stored.Executions)
	return nil
}

// deliver delivers the objects of one name to the controller's cache.
func (s *simulation) deliver(name string) {
	GinkgoHelper()
	Expect(s.refresh()).To(Succeed())
	s.cache.Deliver(ctx, s.stored, name)
}

// names are the names of all objects in the API server and in the cache.
func (s *simulation) names() map[string]bool {
	names := s.cache.AllNames()
	maps.Copy(names, s.stored.Names())
	return names
}

func (s *simulation) runUserAction() (bool, error) {
	for i := range s.userActions {
		if s.userActions[i].when(s) {
			do := s.userActions[i].do
			s.userActions = slices.Delete(s.userActions, i, i+1)
			return true, do(s)
		}
	}
	return false, nil
}

// runController reconciles the first execution in the queue.
func (s *simulation) runController() (bool, error) {
	name, ok := s.queue.Next(s.clock.Now())
	if !ok {
		return false, nil
	}
	return true, s.reconcile(name)
}

func (s *simulation) reconcile(name string) error {
	s.queue.Take(name)
	result, err := s.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.ns, Name: name}})
	switch {
	case s.stopped:
		return nil
	case err != nil:
		fmt.Fprintf(s.log, "   %s: %v\n", name, err)
		s.queue.Repeat(name, s.clock.Now())
	case result.RequeueAfter > 0:
		s.queue.Repeat(name, s.clock.Now().Add(result.RequeueAfter))
	}
	return nil
}

func (s *simulation) runArgo() (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(s.stored.Workflows)) {
		before := s.stored.Workflows[name]
		wf := before.DeepCopy()
		if !s.argo.Operate(wf, s.script) {
			continue
		}
		if err := s.api.Patch(ctx, wf, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return false, fmt.Errorf("Argo writes %s: %w", name, err)
		}
		for id, node := range wf.Status.Nodes {
			if _, known := before.Status.Nodes[id]; !known && node.Type == wfv1.NodeTypePod {
				s.starts[node.Name]++
				fmt.Fprintf(s.log, "Argo: starts %s\n", node.Name)
				if err := createPending(wf, &node); err != nil {
					return false, err
				}
			}
		}
		return true, nil
	}
	return false, nil
}

// createPending creates the pod of a node that waits for it to start. Pods that run are not simulated: none of them outlives its
// Workflow.
func createPending(wf *wfv1.Workflow, node *wfv1.NodeStatus) error {
	if node.Phase != wfv1.NodePending {
		return nil
	}
	return admin.Create(ctx, &corev1.Pod{
		ObjectMeta: podMeta(wf, node),
		Spec:       corev1.PodSpec{ServiceAccountName: serviceAccount, Containers: []corev1.Container{{Name: "main", Image: "example.invalid/action:v1"}}},
	})
}

// deleteOrphans deletes a Workflow without an owner, as the garbage collector does.
func (s *simulation) deleteOrphans() (bool, error) {
	for name, wf := range s.stored.Workflows {
		owner := s.stored.Executions[strings.TrimSuffix(name, wfev1.RollbackSuffix)]
		if wf.DeletionTimestamp == nil && (owner == nil || owner.UID != metav1.GetControllerOf(wf).UID) {
			return true, client.IgnoreNotFound(s.api.Delete(ctx, wf))
		}
	}
	return false, nil
}

// advanceClock advances the clock to the next timer of the controller.
func (s *simulation) advanceClock() (bool, error) {
	next, ok := s.queue.NextTimer()
	if !ok {
		return false, nil
	}
	s.clock.advance(max(0, next.Sub(s.clock.Now())) + time.Millisecond)
	fmt.Fprintln(s.log, "-- time passes")
	return true, nil
}

// apply creates an execution.
func (s *simulation) apply(wfe *wfev1.WorkflowExecution) error {
	wfe = wfe.DeepCopy()
	wfe.Namespace = s.ns
	return s.api.Create(ctx, wfe)
}

// edit changes the specification of an execution.
func edit(name string, mutate func(*wfev1.WorkflowExecutionSpec)) func(*simulation) error {
	return func(s *simulation) error {
		wfe := s.stored.Executions[name].DeepCopy()
		mutate(&wfe.Spec)
		return s.api.Patch(ctx, wfe, client.MergeFrom(s.stored.Executions[name]))
	}
}

// cleanUp deletes all objects of the simulation, since the suite goes on for long.
func (s *simulation) cleanUp() error {
	if err := s.refresh(); err != nil {
		return err
	}
	var errs []error
	for _, wf := range s.stored.Workflows {
		released := wf.DeepCopy()
		released.Finalizers = nil
		errs = append(errs, client.IgnoreNotFound(s.api.Patch(ctx, released, client.MergeFrom(wf))), client.IgnoreNotFound(s.api.Delete(ctx, wf)))
	}
	for _, wfe := range s.stored.Executions {
		errs = append(errs, client.IgnoreNotFound(s.api.Delete(ctx, wfe)))
	}
	errs = append(errs, admin.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.ns)))
	return errors.Join(errs...)
}

// recordWrites updates the stored objects with the responses to writes, so that they need not be read again after each. They are
// outdated after a deletion, or a write that removed the last finalizer of a deleted object.
func (s *simulation) recordWrites(c client.WithWatch) client.WithWatch {
	record := func(object client.Object, err error) error {
		if err == nil && object.GetDeletionTimestamp() == nil {
			s.stored.Put(object)
		} else {
			s.outdated = true
		}
		return err
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return record(object, c.Create(ctx, object, opts...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			s.outdated = true
			return c.Delete(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return record(object, c.Patch(ctx, object, patch, opts...))
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			return record(object, c.SubResource(sub).Update(ctx, object, opts...))
		},
	})
}

// simulationClient is the client of the controllers of all simulations.
var simulationClient client.WithWatch
