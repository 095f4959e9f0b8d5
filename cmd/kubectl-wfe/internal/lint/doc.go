// Package lint reads WorkflowExecutions from manifests and reports what the API server or the controller would reject,
// each problem with its file, line, step and field. It needs no cluster: the schema and its rules come from the embedded
// CustomResourceDefinition, everything else from package translate and a catalog.
package lint
