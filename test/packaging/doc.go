// Package packaging tests what is installed: that kustomize sets the images, that the Helm chart makes the same objects as
// the kustomizations, that an API server takes every one of them as it is, and what make dist writes. It needs the programs
// that make test-unit names: HELM, KUBECTL and KUBEBUILDER_ASSETS.
package packaging

//go:generate go run ./generate
