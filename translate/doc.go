// Package translate turns WorkflowExecutions into Argo Workflows and the nodes of Argo Workflows back into steps.
//
// It is pure: no client, context, logger, clock, environment or randomness. It never changes its arguments, and the same
// input gives the same bytes. A result may share memory with the arguments, so a caller must not change either. Comments
// cite the lines of Argo v3.7.18 that the rules depend on.
package translate
