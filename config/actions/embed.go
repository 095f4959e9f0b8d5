// Package actions carries the manifests of the built-in actions, for programs that read the catalog without a cluster.
// It is in this folder because an embedded file must be in its package's; it holds nothing else.
package actions

import "embed"

// Files are the manifests of this folder: a ClusterWorkflowTemplate for each action, and the kustomization.
//
//go:embed *.yaml
var Files embed.FS
