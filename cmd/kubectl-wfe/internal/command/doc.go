// Package command has the commands of kubectl wfe: flags, requests to the cluster, and exit codes. The packages beside it
// build and format the objects.
package command
