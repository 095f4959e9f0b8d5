// Command perf measures the cost of the controller, compares it with the cost of the same work without the controller, and
// holds the ratios to the bounds of bounds.go. It starts an API server and etcd with fsync and an audit log, and the manager as
// shipped. test/simulator plays Argo, except for whole runs, which need a cluster. README.md has the method and the values.
//
// The tests of this package (make test-gates) hold what can be counted to the same bounds, with few objects.
package main
