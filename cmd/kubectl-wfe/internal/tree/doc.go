// Package tree formats an execution as text: as a tree of its steps, and as a line for each change between two versions.
// It is pure: the caller passes the time and the width of the terminal.
package tree
