// Package graph writes the graph of an execution's steps for Graphviz and Mermaid, and as an SVG image with a small
// layered layout. It is pure.
package graph
