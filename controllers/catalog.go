package controllers

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// catalog reads the named actions from the cache, or from the API server where the cache may be behind. An action that
// does not exist is simply not in it, and neither is one whose templates are broken.
func (r *Reconciler) catalog(ctx context.Context, namespace string, names []string) (translate.Catalog, error) {
	catalog := make(translate.Catalog, len(names))
	for _, name := range names {
		action, err := r.lookUpAction(ctx, r.Client, namespace, name)
		if err == nil && action == nil {
			// Catalog and execution may have been applied together, and a missing action is final.
			action, err = r.lookUpAction(ctx, r.Live, namespace, name)
		}
		if err != nil {
			return nil, err
		}
		if action != nil {
			catalog[name] = action
		}
	}
	return catalog, nil
}

func (r *Reconciler) lookUpAction(ctx context.Context, reader client.Reader, namespace, name string) (*translate.Action, error) {
	claims, err := r.claims(ctx, reader, namespace, client.MatchingLabels{wfev1.LabelAction: name})
	if err != nil {
		return nil, err
	}
	return translate.NewCatalog(claims)[name], nil
}

// claims judges the templates of the catalog and, if they count here, those of the namespace, or of all where none is
// named. Of two that claim the same action, the later one has it.
func (r *Reconciler) claims(ctx context.Context, reader client.Reader, namespace string, which client.ListOption) ([]translate.Claim, error) {
	var found []translate.Template
	if r.Settings.hasClusterCatalog() {
		cluster := &wfv1.ClusterWorkflowTemplateList{}
		// The templates are only read, and what is kept of them is copied.
		if err := reader.List(ctx, cluster, which, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list ClusterWorkflowTemplates: %w", err)
		}
		for i := range cluster.Items {
			found = append(found, &cluster.Items[i])
		}
	}
	for _, from := range r.Settings.templatesFor(namespace) {
		namespaced := &wfv1.WorkflowTemplateList{}
		if err := reader.List(ctx, namespaced, client.InNamespace(from), which, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list WorkflowTemplates: %w", err)
		}
		for i := range namespaced.Items {
			found = append(found, &namespaced.Items[i])
		}
	}
	return translate.NewClaims(found), nil
}

// CountBrokenTemplates counts the templates that carry the label of an action and are none. While Argo is not installed
// nobody knows.
func (r *Reconciler) CountBrokenTemplates(ctx context.Context) (int, error) {
	if !r.engine.isAvailable() {
		return 0, errors.New("Argo Workflows is not installed") //nolint:staticcheck // a name
	}
	claims, err := r.claims(ctx, r.Client, "", client.HasLabels{wfev1.LabelAction})
	return len(translate.Broken(claims)), err
}
