package catalog

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scope is which templates can be actions.
type Scope struct {
	// Namespaces are where executions are reconciled; none means everywhere.
	Namespaces []string
	// CatalogNamespace is whose WorkflowTemplates are the catalog; empty for the ClusterWorkflowTemplates.
	CatalogNamespace string
	// NamespacedActions makes WorkflowTemplates of an execution's namespace actions too. Where both have an action, the
	// namespace's wins.
	NamespacedActions bool
}

// IsCluster reports whether ClusterWorkflowTemplates are the catalog.
func (s Scope) IsCluster() bool { return s.CatalogNamespace == "" }

// HasNamespaced reports whether WorkflowTemplates can be actions.
func (s Scope) HasNamespaced() bool { return !s.IsCluster() || s.NamespacedActions }

// TemplateNamespaces are whose WorkflowTemplates can be actions; none means all namespaces.
func (s Scope) TemplateNamespaces() []string {
	var names []string
	if s.NamespacedActions {
		if len(s.Namespaces) == 0 {
			return nil
		}
		names = slices.Clone(s.Namespaces)
	}
	if !s.IsCluster() && !slices.Contains(names, s.CatalogNamespace) {
		names = append(names, s.CatalogNamespace)
	}
	return names
}

// searched are whose WorkflowTemplates can be actions of an execution in a namespace, or of any where none is named: the
// catalog's first, so that the namespace's own win.
func (s Scope) searched(namespace string) []string {
	var names []string
	if !s.IsCluster() {
		names = []string{s.CatalogNamespace}
	}
	switch {
	case !s.NamespacedActions, namespace == s.CatalogNamespace && namespace != "":
		return names
	case namespace == metav1.NamespaceAll:
		return []string{metav1.NamespaceAll}
	}
	return append(names, namespace)
}
