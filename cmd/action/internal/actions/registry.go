package actions

import "github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"

// All returns every built-in action, in the order of the catalog's table.
func All() []contract.Action {
	return []contract.Action{
		scaleDeployment(),
		restartDeployment(),
		setResources(),
		verifyDeployment(),
		scaleStatefulSet(),
		restartStatefulSet(),
		restartDaemonSet(),
		rollbackDeployment(),
		updateImage(),
		setEnv(),
		restartPod(),
		deletePod(),
		evictPod(),
		waitSeconds(),
		verifyPods(),
		verifyHTTP(),
		verifyMetric(),
		verifyAlert(),
		waitFor(),
		updateConfigMap(),
		restoreConfigMap(),
		deleteFailedPods(),
		cordonNode(),
		uncordonNode(),
		drainNode(),
		taintNode(),
		runJob(),
		deleteJob(),
		setHPA(),
		patchResource(),
		updateSecret(),
		expandPVC(),
	}
}
