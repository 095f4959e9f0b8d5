package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// Catalog reads templates from a cache, and from the API server where the cache may lack one.
type Catalog struct {
	cached, live client.Reader
	scope        Scope
}

// New makes a Catalog.
func New(cached, live client.Reader, scope Scope) *Catalog {
	return &Catalog{cached: cached, live: live, scope: scope}
}

// Actions reads the named actions for an execution in a namespace. An action that does not exist is left out, and so is one
// whose templates are invalid.
func (c *Catalog) Actions(ctx context.Context, namespace string, names []string) (translate.Catalog, error) {
	actions := make(translate.Catalog, len(names))
	for _, name := range names {
		action, err := c.lookUp(ctx, c.cached, namespace, name)
		if err == nil && action == nil {
			// The catalog and the execution may have been applied together, and a missing action is final.
			action, err = c.lookUp(ctx, c.live, namespace, name)
		}
		if err != nil {
			return nil, err
		}
		if action != nil {
			actions[name] = action
		}
	}
	return actions, nil
}

// List returns the names of all actions in the cache, and the number of templates with the label of an action that are
// invalid.
func (c *Catalog) List(ctx context.Context) (actions []string, invalid int, err error) {
	claims, err := c.claims(ctx, c.cached, "", client.HasLabels{wfev1.LabelAction})
	return slices.Sorted(maps.Keys(translate.NewCatalog(claims))), len(translate.Broken(claims)), err
}

func (c *Catalog) lookUp(ctx context.Context, reader client.Reader, namespace, name string) (*translate.Action, error) {
	claims, err := c.claims(ctx, reader, namespace, client.MatchingLabels{wfev1.LabelAction: name})
	if err != nil {
		return nil, err
	}
	return translate.NewCatalog(claims)[name], nil
}

// claims validates the templates of the catalog and, if namespaced actions are enabled, those of the namespace, or of all
// namespaces if none is named.
func (c *Catalog) claims(ctx context.Context, reader client.Reader, namespace string, which client.ListOption) ([]translate.Claim, error) {
	var found []translate.Template
	if c.scope.IsCluster() {
		cluster := &wfv1.ClusterWorkflowTemplateList{}
		// The templates are only read, and what is kept of them is copied.
		if err := reader.List(ctx, cluster, which, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list ClusterWorkflowTemplates: %w", err)
		}
		for i := range cluster.Items {
			found = append(found, &cluster.Items[i])
		}
	}
	for _, from := range c.scope.searched(namespace) {
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
