package controllers

import (
	"time"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// Settings are an installation's choices.
type Settings struct {
	// Workflow shapes the Workflows that are created.
	Workflow translate.Options
	// DefaultTimeout bounds an execution that sets no timeoutSeconds; at least one second.
	DefaultTimeout time.Duration
	// NamespacedActions makes WorkflowTemplates of an execution's namespace actions too. Where both have an action, the
	// namespace's wins.
	NamespacedActions bool
	// Namespaces are where executions are reconciled; none means everywhere.
	Namespaces []string
	// CatalogNamespace is whose WorkflowTemplates are the catalog; empty for the ClusterWorkflowTemplates.
	CatalogNamespace string
	// MaxLivePerNamespace bounds the executions of one namespace that have started and not ended, dry runs among them; zero
	// for no bound.
	MaxLivePerNamespace int
	// ArgoURL is the base URL of the Argo UI for status.url; empty leaves it out.
	ArgoURL string
}

func (s Settings) catalogScope() catalog.Scope {
	return catalog.Scope{Namespaces: s.Namespaces, CatalogNamespace: s.CatalogNamespace, NamespacedActions: s.NamespacedActions}
}

// timeout is the bound on an execution's run.
func (s Settings) timeout(wfe *wfev1.WorkflowExecution) time.Duration {
	if wfe.Spec.TimeoutSeconds != nil {
		return time.Duration(*wfe.Spec.TimeoutSeconds) * time.Second
	}
	return s.DefaultTimeout
}
