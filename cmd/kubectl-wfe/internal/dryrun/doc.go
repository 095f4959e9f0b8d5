// Package dryrun makes the dry run of an execution and reads from its outputs what the execution would change. It is
// pure: somebody else runs it.
package dryrun
