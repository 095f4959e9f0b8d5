// Package retry makes a new WorkflowExecution from one that failed or was cancelled: what is done is left out, and what
// it delivered is put in as plain values. It is pure: it reads the recorded status and a catalog.
package retry
