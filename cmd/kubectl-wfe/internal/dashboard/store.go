package dashboard

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Store holds the executions of the pages and notifies the pages of changes. Callers must not change the objects.
type Store struct {
	lock       sync.Mutex
	executions map[types.NamespacedName]*wfev1.WorkflowExecution
	problem    string
	// changed is closed and replaced at each change.
	changed chan struct{}
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{executions: map[types.NamespacedName]*wfev1.WorkflowExecution{}, changed: make(chan struct{})}
}

// Put adds or replaces an execution.
func (s *Store) Put(wfe *wfev1.WorkflowExecution) {
	s.change(func() { s.executions[types.NamespacedName{Namespace: wfe.Namespace, Name: wfe.Name}] = wfe })
}

// Remove removes an execution.
func (s *Store) Remove(namespace, name string) {
	s.change(func() { delete(s.executions, types.NamespacedName{Namespace: namespace, Name: name}) })
}

// Report sets the reason why the store can be out of date; empty means that it is up to date.
func (s *Store) Report(problem string) {
	s.lock.Lock()
	same := s.problem == problem
	s.lock.Unlock()
	if !same {
		s.change(func() { s.problem = problem })
	}
}

func (s *Store) change(apply func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	apply()
	close(s.changed)
	s.changed = make(chan struct{})
}

// All returns every execution, in no order.
func (s *Store) All() []*wfev1.WorkflowExecution {
	s.lock.Lock()
	defer s.lock.Unlock()
	all := make([]*wfev1.WorkflowExecution, 0, len(s.executions))
	for _, wfe := range s.executions {
		all = append(all, wfe)
	}
	return all
}

// Find returns the execution of this name, or nil.
func (s *Store) Find(namespace, name string) *wfev1.WorkflowExecution {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.executions[types.NamespacedName{Namespace: namespace, Name: name}]
}

// Problem returns the reason why the store can be out of date, or empty.
func (s *Store) Problem() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.problem
}

// Changed returns a channel that is closed at the next change.
func (s *Store) Changed() <-chan struct{} {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.changed
}
