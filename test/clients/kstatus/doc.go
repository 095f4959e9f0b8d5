// Package kstatus tests what the library of kubectl, Argo CD, Flux and their like says of an execution at each moment of
// its life: In progress, Current or Failed.
package kstatus
