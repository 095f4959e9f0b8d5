// Package tree shows an execution as text: as a tree of its steps, and as the lines that tell what changed between two
// looks at it. It is pure: it is told the time and the size of the screen.
package tree
