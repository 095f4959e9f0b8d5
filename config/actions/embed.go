// Package actions embeds the manifests of the built-in actions, for programs that read the catalog without a cluster.
// It is in this directory because a package can embed only the files of its own directory.
package actions

import "embed"

// Files holds the manifests of this directory: a ClusterWorkflowTemplate and a ClusterRole for each action, the
// kustomizations, and the documentation.
//
//go:embed *.yaml rbac/*.yaml README.md
var Files embed.FS
