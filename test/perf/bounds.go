package main

// The bounds of what the controller may cost. README.md lists the measured values beside them.
const (
	// maxTranslationRatio bounds the time to validate and translate an execution, divided by the time to encode its Workflow as
	// JSON.
	maxTranslationRatio = 1
	// maxStatusMapping bounds the time to map the nodes of 500 steps with retries, in milliseconds.
	maxStatusMapping = 2
	// maxWrites bounds the writes for an execution whose nodes change together: the Workflow, its start, one change, its end, and
	// the release of the Workflow.
	maxWrites = 5
	// maxCreateRatio bounds the time from the creation of an execution until its Workflow is visible, divided by the same time for
	// a Workflow created directly.
	maxCreateRatio = 2
	// minRateRatio bounds the sustained rate of executions, divided by that of Workflows created directly.
	minRateRatio = 0.25
	// maxHeap bounds the heap of a live execution of 20 nodes, in KiB.
	maxHeap = 40
	// maxShareOfArgo bounds the memory of the manager, divided by that of Argo's controller with the same Workflows.
	maxShareOfArgo = 0.25
	// maxColdStartExponent bounds the growth of a cold start with the number of executions; 1 is linear.
	maxColdStartExponent = 1.1
	// maxScrapeSize and maxScrapeTime bound a scrape with many ended executions, divided by one with a single ended execution.
	maxScrapeSize, maxScrapeTime = 1.05, 1.5
	// maxWholeRun bounds the time of executions through a real Argo, divided by that of the same Workflows submitted directly.
	maxWholeRun = 1.05
)
