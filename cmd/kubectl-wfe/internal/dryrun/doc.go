// Package dryrun builds the dry run of an execution and reads the planned changes from its outputs. It is pure: the
// caller creates the dry run and waits for it.
package dryrun
