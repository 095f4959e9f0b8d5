package local

import (
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// isOwned reports whether a process is part of the cluster: it is in the record, its executable is in the folder of the cluster, or it is in
// a cgroup of the cluster. A process that only mentions the folder in its arguments, such as a pager that shows a log, is not.
func isOwned(candidate process.Process, cluster layout, recorded record, boot string) bool {
	if recorded.Boot == boot {
		for _, known := range recorded.Processes {
			if known.PID == candidate.PID && known.Started == candidate.Started {
				return true
			}
		}
	}
	binaries := cluster.path("bin") + "/"
	if strings.HasPrefix(candidate.Executable, binaries) || strings.HasPrefix(candidate.Argument0, binaries) {
		return true
	}
	for _, cgroup := range candidate.Cgroups {
		for _, n := range nodes {
			if strings.HasPrefix(cgroup, "/"+n.cgroup(cluster)+"/") {
				return true
			}
		}
	}
	return false
}
