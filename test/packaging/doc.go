// Package packaging tests the installation: that kustomize sets the images, that the Helm chart renders the same objects as the
// kustomizations, that an API server accepts all of them, and that make dist writes a complete release. It needs the programs of the
// variables HELM, KUBECTL and KUBEBUILDER_ASSETS, which make test-unit sets.
package packaging

//go:generate go run ./generate
