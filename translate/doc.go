// Package translate turns WorkflowExecutions into Argo Workflows and the nodes of Argo Workflows back into steps.
//
// It is pure: no client, context, logger, clock, environment or randomness. It never changes its arguments, and the
// same input gives the same bytes. What the rules rest on in Argo is said beside each rule, with v3.7.18 as the source.
package translate
