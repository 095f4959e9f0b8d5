// Package clients has no code. The packages below it test executions with the clients that users run: browsers, kstatus,
// Mermaid and Graphviz. It is a separate module, so that their libraries are not dependencies of the controller.
package clients
