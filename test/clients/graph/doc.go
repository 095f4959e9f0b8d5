// Package graph tests that Mermaid and Graphviz can draw the output of kubectl wfe graph.
package graph
