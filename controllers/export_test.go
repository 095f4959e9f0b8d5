package controllers

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// What the cache that stands in for the manager's needs to know of the indices: their names, and their values.
const (
	IndexTarget = indexTarget
	IndexSlot   = indexSlot
)

var (
	TargetKey = targetKey
	SlotOf    = slotOf
)

// What the cache does to the objects that it keeps.
var (
	KeepExecution = keepExecution
	KeepEnded     = keepEnded
	KeepWorkflow  = keepWorkflow
)

// Wakers are what wakes those who wait for a target, and for a slot of their namespace.
func Wakers(r *Reconciler) []handler.EventHandler {
	return []handler.EventHandler{r.wakeRivals(), r.wakeNextInLine()}
}

// Remembered counts, by what it is for, what a Reconciler remembers of single executions and Workflows.
func Remembered(r *Reconciler) map[string]int {
	for _, mu := range []*sync.Mutex{&r.locks.mu, &r.written.mu, &r.recorded.mu, &r.fresh.mu, &r.silences.mu} {
		mu.Lock()
		defer mu.Unlock()
	}
	slots := 0
	for _, let := range r.locks.slots {
		slots += len(let)
	}
	counts := map[string]int{
		"holders": len(r.locks.holders), "targets": len(r.locks.targets), "slots": slots, "written": len(r.written.versions),
		"recorded": len(r.recorded.versions), "unanswered": len(r.fresh.unanswered), "silences": len(r.silences.began),
	}
	for what, count := range counts {
		if count == 0 {
			delete(counts, what)
		}
	}
	return counts
}
