module github.com/kubernaut-io/workflowexecution/test/tools

go 1.26.0

// Its CustomResourceDefinitions are what config/prometheus is checked against.
require github.com/prometheus-operator/prometheus-operator v0.85.0
