// Package workflows reads and writes Argo's Workflows and their pods. Package admission only lists Workflows, for its locks.
//
// In: the key of a Workflow, or a Workflow that was read here. Out: a Workflow with all of its nodes, from the cache (Get)
// or from the API server (GetLive); and one verb for each thing that the controller does to a Workflow: Create, Suspend,
// Resume, ShutDown, Decide, DeletePods, Nudge, Relabel, Retire, Release. It owns the resource versions of its own writes, so that no
// decision rests on a copy that is older, and the times since when Argo has not acted on a Workflow. It never decides what
// is to be done: package controllers does. Every write on an existing Workflow is a patch, since Argo writes the same object; the Argo server writes
// offloaded nodes.
package workflows
