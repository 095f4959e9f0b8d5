package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// catalog reads the named actions from the cache, or from the API server where the cache may be behind. An action that
// does not exist is simply not in it; one whose template is broken, or that two templates of the same kind claim, is not
// in it either, and the log says why.
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
	if r.Settings.NamespacedActions {
		templates := &wfv1.WorkflowTemplateList{}
		err := reader.List(ctx, templates, client.InNamespace(namespace), client.MatchingLabels{wfev1.LabelAction: name})
		if err != nil {
			return nil, fmt.Errorf("list WorkflowTemplates: %w", err)
		}
		if n := len(templates.Items); n > 0 {
			t := &templates.Items[0]
			return readAction(ctx, "WorkflowTemplate", n, t.ObjectMeta, &t.Spec), nil
		}
	}
	templates := &wfv1.ClusterWorkflowTemplateList{}
	if err := reader.List(ctx, templates, client.MatchingLabels{wfev1.LabelAction: name}); err != nil {
		return nil, fmt.Errorf("list ClusterWorkflowTemplates: %w", err)
	}
	if len(templates.Items) == 0 {
		return nil, nil
	}
	t := &templates.Items[0]
	return readAction(ctx, "ClusterWorkflowTemplate", len(templates.Items), t.ObjectMeta, &t.Spec), nil
}

// readAction is nil for a template that is not an action; the log says why.
func readAction(ctx context.Context, kind string, claims int, meta metav1.ObjectMeta, spec *wfv1.WorkflowSpec) *translate.Action {
	if claims > 1 {
		log.FromContext(ctx).Info("more than one template claims an action", "action", meta.Labels[wfev1.LabelAction], "kind", kind, "templates", claims)
		return nil
	}
	action, err := translate.NewAction(kind, meta, spec)
	if err != nil {
		log.FromContext(ctx).Info("a template of the catalog is broken", "action", meta.Labels[wfev1.LabelAction], "problem", err.Error())
		return nil
	}
	return action
}
