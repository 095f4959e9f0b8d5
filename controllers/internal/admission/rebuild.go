package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/selectors"
)

// livePage bounds a page of the lists that are read when a controller begins to lead.
const livePage = 500

// rebuild reads once, from the API server, what a predecessor admitted: a Workflow may exist that no status names, because
// the previous leader stopped before it recorded the Workflow. The error is a conflict while the cache lacks one that was admitted. Once the cache has had
// all of them, one that it lacks has ended.
func (g *Gate) rebuild(ctx context.Context) error {
	if g.rebuilt {
		return nil
	}
	started, err := g.startedExecutions(ctx)
	if err != nil {
		return err
	}
	clear(g.admitted)
	list := &wfev1.WorkflowExecutionList{}
	err = g.listLive(ctx, list, func() error {
		g.statuses.LeadsSince(list.ResourceVersion)
		for i := range list.Items {
			wfe := &list.Items[i]
			if wfe.Status.WorkflowRef == nil && !started[wfe.UID] {
				continue
			}
			cached, err := g.isCached(ctx, wfe)
			if err != nil {
				return err
			}
			if cached {
				g.admit(wfe)
			}
		}
		return nil
	}, client.MatchingFieldsSelector{Selector: selectors.Unended()})
	if err != nil {
		return fmt.Errorf("list WorkflowExecutions: %w", err)
	}
	g.rebuilt = true
	return nil
}

// isCached reports whether the cache has an execution that had not ended when it was listed. One that it lacks may have ended
// since; the error is a conflict if it has not.
func (g *Gate) isCached(ctx context.Context, wfe *wfev1.WorkflowExecution) (bool, error) {
	key, cached, now := client.ObjectKeyFromObject(wfe), &wfev1.WorkflowExecution{}, &wfev1.WorkflowExecution{}
	err := g.cached.Get(ctx, key, cached, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil || err == nil && cached.UID == wfe.UID {
		return err == nil, err
	}
	err = g.live.Get(ctx, key, now)
	if err != nil || now.UID != wfe.UID || now.Status.Phase.IsTerminal() {
		return false, client.IgnoreNotFound(err)
	}
	resource := wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource()
	return false, apierrors.NewConflict(resource, wfe.Name, errors.New("the cache is stale"))
}

// startedExecutions are the UIDs of the executions that have a Workflow whose end has not been recorded.
func (g *Gate) startedExecutions(ctx context.Context) (map[types.UID]bool, error) {
	started := map[types.UID]bool{}
	list := &metav1.PartialObjectMetadataList{} // nodes are large, and not needed here
	list.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("WorkflowList"))
	err := g.listLive(ctx, list, func() error {
		for i := range list.Items {
			for _, owner := range list.Items[i].OwnerReferences {
				started[owner.UID] = true
			}
		}
		return nil
	}, client.MatchingLabelsSelector{Selector: selectors.Unobserved()})
	if err != nil {
		return nil, fmt.Errorf("list Workflows: %w", err)
	}
	return started, nil
}

// listLive lists from the API server, page by page, wherever executions are reconciled, and calls visit after each page.
func (g *Gate) listLive(ctx context.Context, list client.ObjectList, visit func() error, options ...client.ListOption) error {
	namespaces := g.options.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		for next := ""; ; {
			page := append(slices.Clone(options), client.InNamespace(namespace), client.Limit(livePage), client.Continue(next))
			if err := g.live.List(ctx, list, page...); err != nil {
				return err
			}
			if err := visit(); err != nil {
				return err
			}
			if next = list.GetContinue(); next == "" {
				break
			}
		}
	}
	return nil
}
