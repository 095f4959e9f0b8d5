// Command perf measures what the controller costs, beside what the same work costs without it, and holds it to targets.
// It starts an API server and etcd of its own, with fsync and an audit log, and runs the manager as it is shipped; pods are
// played by test/simulator, except in the measurement of whole runs, which takes a cluster. README.md says what is
// measured how, and what was found.
//
// What can be counted is asserted by the tests of this package, in small; times only in relation to each other.
package main
