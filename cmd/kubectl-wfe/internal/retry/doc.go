// Package retry builds a new WorkflowExecution from one that failed or was cancelled. It leaves out the steps that are
// done and replaces references to their outputs with values. It is pure: it reads the recorded status and a catalog.
package retry
