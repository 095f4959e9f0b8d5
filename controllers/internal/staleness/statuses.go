package staleness

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Statuses remembers the writes on the statuses of executions, and knows which executions only this process can have
// written: those that are newer than its leadership and of which every write was answered. The zero value is empty. It is
// safe for concurrent use.
type Statuses struct {
	Writes
	mu sync.Mutex
	// leadsSince is the resourceVersion of the executions when this process began to lead; empty until that is known.
	leadsSince string
	// unanswered are the executions of which a write was not answered: the API server may have made it.
	unanswered sets.Set[types.NamespacedName]
	// ended are the executions whose end was recorded and whose Workflows are not released yet.
	ended sets.Set[types.UID]
}

// Ended records that the end of an execution was recorded and counted, until its Workflows are released.
func (s *Statuses) Ended(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = sets.New[types.UID]()
	}
	s.ended.Insert(uid)
}

// HasEnded reports whether the end of an execution was recorded by this process.
func (s *Statuses) HasEnded(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended.Has(uid)
}

// Released forgets the end of an execution whose Workflows are released.
func (s *Statuses) Released(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Delete(uid)
}

// LeadsSince records the resourceVersion of the executions when this process began to lead.
func (s *Statuses) LeadsSince(resourceVersion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leadsSince = resourceVersion
}

// Unanswered records a write that failed in a way that leaves open whether the API server made it.
func (s *Statuses) Unanswered(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered == nil {
		s.unanswered = sets.New[types.NamespacedName]()
	}
	s.unanswered.Insert(name)
}

// IsSoleWriter reports whether no other process can have written the status of an execution since a copy was read.
func (s *Statuses) IsSoleWriter(copied metav1.Object) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	order, err := resourceversion.CompareResourceVersion(copied.GetResourceVersion(), s.leadsSince)
	return err == nil && order > 0 && !s.unanswered.Has(nameOf(copied))
}

// Clear forgets an execution that has ended or no longer exists.
func (s *Statuses) Clear(name types.NamespacedName) {
	s.Writes.Clear(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered.Delete(name)
}

// Len is how many executions are remembered.
func (s *Statuses) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Writes.Len() + len(s.unanswered) + len(s.ended)
}
