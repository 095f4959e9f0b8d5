// Package manifests reads the rules and the dashboard from the folder config of the repository, and lists the metrics of an
// expression. It returns an error for anything that it does not recognize, so that nothing stays untested.
package manifests
