// Package argodouble stands in for Argo's controller in tests without pods. It is a simulation: no pod runs. What it
// writes is what Argo v3.7 writes, where our controller looks: nodes under the computed IDs, Retry nodes with a child
// for each attempt, times in whole seconds, the messages of a shutdown. What it cannot show is how Argo itself decides;
// that is the business of test/e2e.
//
// A Double lets single events happen, for specs that tell a story; an Autopilot takes every Workflow to its end by a
// Script. What Argo never does, such as starting a step of a suspended Workflow, panics.
package argodouble
