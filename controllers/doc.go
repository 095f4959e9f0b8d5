// Package controllers reconciles WorkflowExecutions.
//
// In: requests from the watches, one execution each. Out: its next status, in one update, and then what that status calls for.
// A reconcile reads the cache, derives the next status by the pure functions of package translate, records it, and only
// then acts on what is recorded, so that a crash in between loses nothing. Ends are counted after the update that records
// them; a creation is counted when the API server has answered it.
//
// The package owns the phases of an execution's life (start, follow, rollback, cleanup), its conditions and the only write
// of its status. It has no state and no mutex: what must be remembered between two reconciles is owned by a room below
// internal, each of which says in its doc.go what comes in, what goes out and what it owns. It never runs a step itself,
// never polls on the ordinary path, and never creates a second Workflow for an execution.
//
// What is remembered between two reconciles, and why:
//
//   - admission: the executions that were admitted, since the cache may not show that they started
//   - staleness: the controller's own status writes, since no decision may rest on an older copy
//   - workflows: its own writes on Workflows, and since when Argo has not acted on one
//   - preflight: the service accounts that were ready, for a minute
//   - finished: what is left of the executions that have ended, for cleanup and the efficiency
//   - engine: whether Argo's kinds are served
package controllers
