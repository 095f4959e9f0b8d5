// Package pictures tests that others can draw what kubectl wfe graph writes: Mermaid and Graphviz.
package pictures
