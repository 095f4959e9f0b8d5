package workflows

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// NodesRetry is how long after a failed attempt the Argo server is asked for nodes again.
	NodesRetry = 10 * time.Second
	// nodesGrace is how long after the end of a Workflow its nodes are waited for.
	nodesGrace = 5 * time.Minute

	offloaded = "Argo keeps the nodes of this Workflow in a database"
)

// MissingNodes is why the nodes of a Workflow cannot be read: the reason and message of the condition
// NodeStatusUnavailable.
type MissingNodes struct{ Reason, Message string }

// LoadNodes completes a Workflow that was read by Get or GetLive with the nodes that Argo keeps in a database. It is nil
// when the Workflow has all of its nodes.
func (s *Store) LoadNodes(ctx context.Context, wf *wfv1.Workflow) *MissingNodes {
	if _, err := translate.Expand(wf); err != nil {
		return &MissingNodes{Reason: wfev1.ReasonGarbled, Message: "the compressed nodes of the Workflow cannot be read"}
	}
	if wf.Status.OffloadNodeStatusVersion == "" {
		return nil
	}
	if s.argoServer == nil {
		return &MissingNodes{
			Reason:  wfev1.ReasonOffloaded,
			Message: offloaded + ", and the controller has no --argo-server-url; the Argo UI shows the steps",
		}
	}
	nodes, err := s.argoServer.nodes(ctx, wf)
	if err != nil { // its text differs from one attempt to the next, and would cost a status write each time
		log.FromContext(ctx).Error(err, "Cannot read offloaded nodes", "Workflow", wf.Name)
		return &MissingNodes{
			Reason:  wfev1.ReasonArgoServer,
			Message: offloaded + ", and the Argo server does not return them; the controller's log says why",
		}
	}
	wf.Status.Nodes = nodes
	return nil
}

// CanLoadLater reports whether the missing nodes of a Workflow can still be loaded from the Argo server, for some time after the
// Workflow has ended.
func (s *Store) CanLoadLater(wf *wfv1.Workflow) bool {
	if s.argoServer == nil {
		return false
	}
	return !wf.Status.Fulfilled() || s.clock.Now().Before(wf.Status.FinishedAt.Add(nodesGrace))
}
