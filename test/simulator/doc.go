// Package simulator plays parts of a cluster in tests.
//
// Argo and Controller play Argo's controller without pods. They write what Argo v3.7 writes where the controller under test
// reads: nodes under their computed IDs, Retry nodes with one child per attempt, times in whole seconds, the messages of a
// shutdown. They do not reproduce how Argo decides; test/e2e runs a real Argo. Argo makes single events for specs that need an
// exact sequence. Controller runs against an API server and takes every Workflow to its end by a Script. Both panic on what
// Argo never does, such as starting a step of a suspended Workflow.
//
// Cache and Queue play the caches and the work queue of the manager under test. The watches are the manager's own handlers, so a
// controller that lacks a watch or a timer is not reconciled, as in a cluster.
package simulator
