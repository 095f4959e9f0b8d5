// Package kstatus tests the status that the kstatus library computes for every version of an execution: InProgress,
// Current or Failed. Argo CD, Flux and other clients use this library.
package kstatus
