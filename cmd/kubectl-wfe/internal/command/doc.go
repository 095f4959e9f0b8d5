// Package command is the commands of kubectl wfe: flags, talking to the cluster, and exit codes. What is shown and what
// is written is made by the packages beside it.
package command
