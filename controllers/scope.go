package controllers

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// everywhere lists in all namespaces.
var everywhere = []string{metav1.NamespaceAll}

// isNamespaced reports whether the installation may know nothing of the cluster but its namespaces.
func (s Settings) isNamespaced() bool { return len(s.Namespaces) > 0 }

// hasClusterCatalog reports whether the catalog is the cluster's.
func (s Settings) hasClusterCatalog() bool { return s.CatalogNamespace == "" }

// readsTemplates reports whether WorkflowTemplates can be actions.
func (s Settings) readsTemplates() bool { return !s.hasClusterCatalog() || s.NamespacedActions }

// templateNamespaces are whose WorkflowTemplates can be actions; none means all namespaces.
func (s Settings) templateNamespaces() []string {
	var names []string
	if s.NamespacedActions {
		if !s.isNamespaced() {
			return nil
		}
		names = slices.Clone(s.Namespaces)
	}
	if !s.hasClusterCatalog() && !slices.Contains(names, s.CatalogNamespace) {
		names = append(names, s.CatalogNamespace)
	}
	return names
}

// templatesFor are whose WorkflowTemplates can be actions of an execution in a namespace, or of any where none is named:
// the catalog's first, so that the namespace's own come before it.
func (s Settings) templatesFor(namespace string) []string {
	var names []string
	if !s.hasClusterCatalog() {
		names = []string{s.CatalogNamespace}
	}
	switch {
	case !s.NamespacedActions, namespace == s.CatalogNamespace && namespace != "":
		return names
	case namespace == metav1.NamespaceAll:
		return everywhere
	}
	return append(names, namespace)
}

// listLive lists from the API server, page by page, wherever executions are driven, and shows the list after each page.
func (r *Reconciler) listLive(ctx context.Context, list client.ObjectList, show func() error, options ...client.ListOption) error {
	namespaces := r.Settings.Namespaces
	if len(namespaces) == 0 {
		namespaces = everywhere
	}
	for _, namespace := range namespaces {
		for next := ""; ; {
			page := append(slices.Clone(options), client.InNamespace(namespace), client.Limit(livePage), client.Continue(next))
			if err := r.Live.List(ctx, list, page...); err != nil {
				return err
			}
			if err := show(); err != nil {
				return err
			}
			if next = list.GetContinue(); next == "" {
				break
			}
		}
	}
	return nil
}
