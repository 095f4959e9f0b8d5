// Package actions embeds the manifests of the built-in actions, for programs that read the catalog without a cluster.
// It is in this directory because a package can embed only the files of its own directory.
package actions

import "embed"

// Files holds the manifests of this directory: a ClusterWorkflowTemplate for each action, and the kustomization.
//
//go:embed *.yaml
var Files embed.FS
