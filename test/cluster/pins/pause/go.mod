module github.com/kubernaut-io/workflowexecution/test/cluster/pins/pause

go 1.26.0
