// Package walk is a new user of the cluster of KUBECONFIG who does what the documents say: it runs every block of commands,
// in order, and compares what they print; then it removes all of it and looks for what is left. The cluster must have
// Argo Workflows and the images of bin/installation, and be one of this checkout; make test-documents sees to all of it.
package walk
