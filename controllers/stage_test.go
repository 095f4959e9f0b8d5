package controllers_test

import (
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

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxTurns bounds a play: one that goes on longer does not come to rest at all.
const maxTurns = 400

// errDead is what the calls of a controller get that has been stopped.
var errDead = errors.New("this controller is dead")

// stage is a world of one namespace in which everything happens by turns: users, the controller, Argo, the garbage
// collector, and time, each moving when those before it have nothing to do. The API server is the real one; the queue
// and the cache of the manager are played, so that a play is the same each time, any moment of it can be met exactly,
// and a controller that forgets to ask to be woken is found out: nobody wakes it but what changed, an error, and the
// last time that it asked for.
type stage struct {
	ns     string
	clock  *shiftedClock
	wire   *wire
	log    *strings.Builder
	double simulator.Argo
	script simulator.Script
	deeds  []deed

	// world is everybody but the controller.
	world client.WithWatch
	truth *stageCache // the objects as they are now
	stale bool        // the truth must be read again
	cache *stageCache // the objects as the controller sees them
	last  map[string]*wfev1.WorkflowExecution
	// starts is how often Argo started each attempt of each step, by the name of its node.
	starts map[string]int

	// maxLive is a setting of the next controller; zero is for no bound.
	maxLive    int
	reconciler *controllers.Reconciler
	registries []*prometheus.Registry
	seen       map[string]string    // what the controller saw of an execution when it looked last
	due        map[string]time.Time // when it asked to be woken
	dead       bool
}

// deed is something that a user does once, as soon as it is time for it.
type deed struct {
	when func(s *stage) bool
	do   func(s *stage) error
}

// newStage makes a stage in an empty namespace.
func newStage(namespace string, deeds []deed) *stage {
	s := &stage{
		ns: namespace, clock: &shiftedClock{}, wire: newWire(), log: &strings.Builder{}, deeds: slices.Clone(deeds), stale: true,
		last: map[string]*wfev1.WorkflowExecution{}, starts: map[string]int{},
	}
	s.world, s.cache = s.recording(admin), newStageCache(s.recording(stageClient))
	s.double = simulator.Argo{Now: s.clock.Now}
	s.wire.log = s.log
	s.lead()
	return s
}

// newStageNamespace makes a namespace in which stages can be, one after another.
func newStageNamespace() string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "stage-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: serviceAccount}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	return namespace.Name
}

// lead lets a fresh controller take over.
func (s *stage) lead() {
	recorder := metrics.NewRecorder(metrics.WithClock(s.clock.Now))
	recorder.SetActions(catalogNames())
	registry := prometheus.NewRegistry()
	registry.MustRegister(recorder)
	s.registries = append(s.registries, registry)
	s.reconciler = controllers.NewReconciler(
		controllers.Dependencies{
			Client: s.wire.tap(s.cache, false), Live: s.wire.tap(stageClient, true), Finished: s.cache.ended, Clock: s.clock, Events: &events.FakeRecorder{}, Metrics: recorder,
		},
		controllers.Settings{
			Namespaces:     []string{s.ns}, // other stages are not its world
			DefaultTimeout: defaultTimeout, MaxLivePerNamespace: s.maxLive, Workflow: translate.Options{ServiceAccountName: serviceAccount},
		},
	)
	s.seen, s.due, s.dead = map[string]string{}, map[string]time.Time{}, false
	fmt.Fprintln(s.log, "-- a controller begins")
}

// play lets everybody have their turns until nothing happens any more, or the controller is dead.
func (s *stage) play() error {
	turns := []func() (bool, error){s.usersAct, s.controllerLooks, s.argoLooks, s.garbageIsCollected, s.timePasses}
	for range maxTurns {
		if err := s.look(); err != nil {
			return err
		}
		for name := range names(s.truth, s.cache) {
			s.cache.deliver(s.truth, name)
		}
		acted, err := false, error(nil)
		for _, turn := range turns {
			if acted, err = turn(); acted || err != nil {
				break
			}
		}
		if err != nil || !acted || s.dead {
			return err
		}
	}
	return errors.New("the play does not come to rest")
}

// look reads the truth if it is not known.
func (s *stage) look() error {
	if s.stale {
		executions, workflows := &wfev1.WorkflowExecutionList{}, &wfv1.WorkflowList{}
		if err := errors.Join(admin.List(ctx, executions, client.InNamespace(s.ns)), admin.List(ctx, workflows, client.InNamespace(s.ns))); err != nil {
			return err
		}
		s.truth, s.stale = newStageCache(nil), false
		for i := range executions.Items {
			s.truth.put(&executions.Items[i])
		}
		for i := range workflows.Items {
			s.truth.put(&workflows.Items[i])
		}
	}
	maps.Copy(s.last, s.truth.executions)
	return nil
}

// see lets the controller's cache get one object as it is now.
func (s *stage) see(name string) {
	GinkgoHelper()
	Expect(s.look()).To(Succeed())
	s.cache.deliver(s.truth, name)
}

func names(caches ...*stageCache) map[string]bool {
	all := map[string]bool{}
	for _, c := range caches {
		for name := range c.executions {
			all[name] = true
		}
		for name := range c.ended {
			all[name] = true
		}
		for name := range c.workflows {
			all[name] = true
		}
	}
	return all
}

func (s *stage) usersAct() (bool, error) {
	for i := range s.deeds {
		if s.deeds[i].when(s) {
			do := s.deeds[i].do
			s.deeds = slices.Delete(s.deeds, i, i+1)
			return true, do(s)
		}
	}
	return false, nil
}

// controllerLooks lets the controller look at an execution if it has a reason to.
func (s *stage) controllerLooks() (bool, error) {
	keys := map[string]bool{}
	for name := range names(s.cache) {
		keys[strings.TrimSuffix(name, wfev1.RollbackSuffix)] = true
	}
	for name := range s.seen {
		keys[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		due, timed := s.due[name]
		if s.seen[name] != s.visible(name) || timed && !s.clock.Now().Before(due) {
			return true, s.reconcile(name)
		}
	}
	return false, nil
}

// visible sums up what the controller can see of an execution: itself, its Workflows, and whoever may be in its way.
func (s *stage) visible(name string) string {
	var versions []string
	if wfe := s.cache.ended[name]; wfe != nil {
		versions = append(versions, "ended@"+wfe.ResourceVersion)
	}
	for other, wfe := range s.cache.executions {
		waiting := s.cache.executions[name] != nil && s.cache.executions[name].Status.WorkflowRef == nil
		if other == name || waiting {
			versions = append(versions, other+"@"+wfe.ResourceVersion)
		}
	}
	for _, workflow := range []string{name, name + wfev1.RollbackSuffix} {
		if wf := s.cache.workflows[workflow]; wf != nil {
			versions = append(versions, workflow+"@"+wf.ResourceVersion)
		}
	}
	slices.Sort(versions)
	return strings.Join(versions, " ")
}

func (s *stage) reconcile(name string) error {
	s.seen[name] = s.visible(name)
	delete(s.due, name)
	result, err := s.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.ns, Name: name}})
	switch {
	case s.dead:
		return nil
	case err != nil:
		fmt.Fprintf(s.log, "   %s: %v\n", name, err)
		s.due[name] = s.clock.Now()
	case result.RequeueAfter > 0:
		s.due[name] = s.clock.Now().Add(result.RequeueAfter)
	}
	return nil
}

func (s *stage) argoLooks() (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(s.truth.workflows)) {
		was := s.truth.workflows[name]
		wf := was.DeepCopy()
		if !s.double.Operate(wf, s.script) {
			continue
		}
		if err := s.world.Patch(ctx, wf, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})); err != nil {
			return false, fmt.Errorf("Argo writes %s: %w", name, err)
		}
		for id, node := range wf.Status.Nodes {
			if _, known := was.Status.Nodes[id]; !known && node.Type == wfv1.NodeTypePod {
				s.starts[node.Name]++
				fmt.Fprintf(s.log, "Argo: starts %s\n", node.Name)
			}
		}
		return true, nil
	}
	return false, nil
}

// garbageIsCollected deletes the Workflows whose owner is gone.
func (s *stage) garbageIsCollected() (bool, error) {
	for name, wf := range s.truth.workflows {
		owner := s.truth.executions[strings.TrimSuffix(name, wfev1.RollbackSuffix)]
		if wf.DeletionTimestamp == nil && (owner == nil || owner.UID != metav1.GetControllerOf(wf).UID) {
			return true, client.IgnoreNotFound(s.world.Delete(ctx, wf))
		}
	}
	return false, nil
}

// timePasses goes on to the moment for which the controller asked to be woken.
func (s *stage) timePasses() (bool, error) {
	if len(s.due) == 0 {
		return false, nil
	}
	next := slices.MinFunc(slices.Collect(maps.Values(s.due)), time.Time.Compare)
	s.clock.pass(max(0, next.Sub(s.clock.Now())) + time.Millisecond)
	fmt.Fprintln(s.log, "-- time passes")
	return true, nil
}

// apply creates an execution.
func (s *stage) apply(wfe *wfev1.WorkflowExecution) error {
	wfe = wfe.DeepCopy()
	wfe.Namespace = s.ns
	return s.world.Create(ctx, wfe)
}

// edit changes the specification of an execution.
func edit(name string, mutate func(*wfev1.WorkflowExecutionSpec)) func(*stage) error {
	return func(s *stage) error {
		wfe := s.truth.executions[name].DeepCopy()
		mutate(&wfe.Spec)
		return s.world.Patch(ctx, wfe, client.MergeFrom(s.truth.executions[name]))
	}
}

// tidy removes what is left on the stage, for it may be long until the suite ends.
func (s *stage) tidy() error {
	if err := s.look(); err != nil {
		return err
	}
	var errs []error
	for _, wf := range s.truth.workflows {
		released := wf.DeepCopy()
		released.Finalizers = nil
		errs = append(errs, client.IgnoreNotFound(s.world.Patch(ctx, released, client.MergeFrom(wf))), client.IgnoreNotFound(s.world.Delete(ctx, wf)))
	}
	for _, wfe := range s.truth.executions {
		errs = append(errs, client.IgnoreNotFound(s.world.Delete(ctx, wfe)))
	}
	return errors.Join(errs...)
}

// stageClient connects the controllers of all stages.
var stageClient client.WithWatch
