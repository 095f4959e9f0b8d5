// Package metrics holds every metric of the controller: its name, help, labels and buckets in one table, the recorder
// that counts what has ended, and the collector that computes what is going on now.
//
// The recorder learns from two versions of a status, the one before and the one after a status update that succeeded,
// and counts what changed between them. It remembers nothing about executions, so what was counted once cannot be
// counted again by a restart, a resync or a change of leader: the status that was read then already says that it ended.
// The collector asks its Source at scrape time and keeps nothing either, so that its gauges cannot drift.
//
// The package registers nothing by itself, logs nothing, and knows neither Kubernetes clients nor Argo. It trusts the
// phases in a status but not the times, which come from other machines' clocks and may have been edited: what is unset,
// zero, negative or in the future never reaches a histogram. Nor does it trust strings: an action that the catalog does
// not have is counted as "unknown", a reason outside the closed set as Unknown. A made-up time in the past cannot be
// told from a true one; whoever may write the status subresource can make an observation larger than it was.
package metrics
