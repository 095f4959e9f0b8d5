// Package live lets a real Prometheus scrape the controller of the cluster of KUBECONFIG while it works, and compares what
// the rules, the dashboard and the specification's queries then say with what the statuses of the executions say.
package live
