// Package walk runs every block of commands in the documents, in order, and compares their output; then it uninstalls
// everything and checks that nothing is left. The cluster of KUBECONFIG must be one of this checkout, with Argo Workflows and
// the images of bin/installation: make test-documents provides it.
package walk
