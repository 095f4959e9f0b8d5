// Package crd carries the CustomResourceDefinition, for programs that check executions without a cluster. It is in this
// folder because an embedded file must be in its package's; it holds nothing else.
package crd

import _ "embed" // for the directive below

// WorkflowExecutions is the manifest of the WorkflowExecution's CustomResourceDefinition.
//
//go:embed workflowexecution.kubernaut.io_workflowexecutions.yaml
var WorkflowExecutions []byte
