// Package simulator plays Argo's controller in tests without pods. It writes what Argo v3.7 writes where the controller
// under test reads: nodes under their computed IDs, Retry nodes with one child per attempt, times in whole seconds, the
// messages of a shutdown. It does not reproduce how Argo decides; test/e2e runs a real Argo.
//
// Argo makes single events for specs that need an exact sequence. Controller runs against an API server and takes every
// Workflow to its end by a Script. Both panic on what Argo never does, such as starting a step of a suspended Workflow.
package simulator
