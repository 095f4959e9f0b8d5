package local

import (
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// belongs decides whether a process is part of the cluster: by its record, by an executable in the cluster's folder, or by a cgroup
// below the cluster's. A process that merely mentions the folder, such as a pager that shows a log, does not belong to it.
func belongs(candidate process.Process, cluster layout, recorded record, boot string) bool {
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
