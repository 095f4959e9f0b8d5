// Package graph writes the graph of an execution's steps as text for dot and Mermaid, and as an SVG picture by a small
// layered layout of its own. It is pure.
package graph
