// Package metrics holds every metric of the controller: its name, help, labels and buckets in one table, the recorder
// that counts what ended, and the collector that computes the current state.
//
// The recorder compares two versions of a status, before and after a successful status update, and counts the difference.
// It stores nothing about executions: a restart, a resync or a change of leader cannot count an end twice, because the
// status that was read already records it. The collector reads its Source at scrape time and stores nothing either, so
// its gauges cannot drift.
//
// The package registers nothing by itself, does not log, and imports neither Kubernetes clients nor Argo. It trusts the
// phases in a status but not the times, which come from the clocks of other machines and may have been edited: an unset,
// zero, negative or future time never reaches a histogram. An action that the catalog does not have is counted as
// "unknown", a reason outside the closed set as Unknown. A forged time in the past cannot be detected: an account that may
// write the status subresource can inflate an observation.
package metrics
