// Package lint reads WorkflowExecutions from manifests and tells what the API server or the controller would refuse,
// each problem with its file, line, step and field. It needs no cluster: the schema and its rules come from the
// CustomResourceDefinition that is built in, everything else from package translate and a catalog.
package lint
