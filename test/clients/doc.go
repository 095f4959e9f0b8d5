// Package clients has no code: the packages below it test what the programs that people use make of executions. It is a
// module of its own, so that their libraries are not among the controller's.
package clients
