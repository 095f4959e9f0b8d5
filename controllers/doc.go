// Package controllers reconciles WorkflowExecutions: it is the only place that talks to the API server.
//
// A reconcile reads the cache, derives the next status by the pure functions of package translate, records it in one
// patch and only then acts on what is recorded. It never runs a step itself, never polls, and never creates a second
// Workflow for an execution.
package controllers
