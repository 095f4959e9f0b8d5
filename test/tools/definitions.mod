module github.com/kubernaut-io/workflowexecution/test/tools

go 1.26.0

// The CRDs of the operator are used to test config/prometheus.
require github.com/prometheus-operator/prometheus-operator v0.85.0
