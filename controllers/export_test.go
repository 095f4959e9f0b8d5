package controllers

// What the cache that stands in for the manager's needs to know of the indices.
const IndexTarget = indexTarget

// TargetKey is the value of the index.
var TargetKey = targetKey

// What the cache does to the objects that it keeps.
var (
	KeepExecution = keepExecution
	KeepEnded     = keepEnded
	KeepWorkflow  = keepWorkflow
)
