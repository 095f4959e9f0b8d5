// Package preflight checks, before a Workflow is created, that its namespace has what Argo needs to run steps in it.
//
// In: a namespace and a service account. Out: what is missing, in words for the user, or nothing. It owns the memory of which
// accounts were ready, for a minute each, so that a burst of executions asks the API server once. It changes nothing.
package preflight
