package translate

import (
	"fmt"
	"maps"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// foldedNodes is the annotation that holds the nodes of a folded Workflow. The API server takes no such key, so none comes
// from there.
const foldedNodes = "folded nodes"

// Fold is a Workflow for whoever keeps many of them: what this package reads of it, and its nodes in one piece, which is a
// tenth of the memory. Nodes that Argo packed stay as they are. A patch that is made of two folded Workflows says what
// differs in them, and nothing about what was left out.
func Fold(wf *wfv1.Workflow) (*wfv1.Workflow, error) {
	if _, already := wf.Annotations[foldedNodes]; already {
		return wf, nil
	}
	folded := &wfv1.Workflow{
		TypeMeta:   wf.TypeMeta,
		ObjectMeta: wf.ObjectMeta,
		Spec:       wfv1.WorkflowSpec{Shutdown: wf.Spec.Shutdown, Suspend: wf.Spec.Suspend},
		Status: wfv1.WorkflowStatus{
			Phase: wf.Status.Phase, FinishedAt: wf.Status.FinishedAt, Message: wf.Status.Message,
			CompressedNodes: wf.Status.CompressedNodes, OffloadNodeStatusVersion: wf.Status.OffloadNodeStatusVersion,
		},
	}
	folded.ManagedFields = nil
	for i := range wf.Spec.Templates {
		if t := &wf.Spec.Templates[i]; t.RetryStrategy != nil && t.RetryStrategy.Limit != nil {
			limit := *t.RetryStrategy.Limit
			folded.Spec.Templates = append(folded.Spec.Templates, wfv1.Template{Name: t.Name, RetryStrategy: &wfv1.RetryStrategy{Limit: &limit}})
		}
	}
	if len(wf.Status.Nodes) == 0 {
		return folded, nil
	}
	nodes := make(wfv1.Nodes, len(wf.Status.Nodes))
	for id, node := range wf.Status.Nodes {
		nodes[id] = neededOf(id, &node)
	}
	encoded, err := (&wfv1.WorkflowStatus{Nodes: nodes}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("fold the nodes of Workflow %s: %w", wf.Name, err)
	}
	folded.Annotations = make(map[string]string, len(wf.Annotations)+1)
	maps.Copy(folded.Annotations, wf.Annotations)
	folded.Annotations[foldedNodes] = string(encoded)
	return folded, nil
}

// neededOf is what this package reads of a node.
func neededOf(id string, node *wfv1.NodeStatus) wfv1.NodeStatus {
	needed := wfv1.NodeStatus{
		ID: node.ID, Name: node.Name, Type: node.Type, Phase: node.Phase, Message: node.Message,
		TemplateName: node.TemplateName, TemplateRef: node.TemplateRef, HostNodeName: node.HostNodeName,
		StartedAt: node.StartedAt, FinishedAt: node.FinishedAt,
		Daemoned: node.Daemoned, TaskResultSynced: node.TaskResultSynced,
	}
	if node.ID == id {
		needed.ID = "" // as its key says
	}
	if node.Outputs != nil {
		needed.Outputs = &wfv1.Outputs{ExitCode: node.Outputs.ExitCode}
		for i := range node.Outputs.Parameters {
			if p := &node.Outputs.Parameters[i]; p.Value != nil {
				needed.Outputs.Parameters = append(needed.Outputs.Parameters, wfv1.Parameter{Name: p.Name, Value: p.Value})
			}
		}
	}
	return needed
}

// Unfold puts the nodes of a Workflow back where they belong, if they were folded.
func Unfold(wf *wfv1.Workflow) error {
	encoded, folded := wf.Annotations[foldedNodes]
	if !folded {
		return nil
	}
	var status wfv1.WorkflowStatus
	if err := status.Unmarshal([]byte(encoded)); err != nil {
		return fmt.Errorf("unfold the nodes of Workflow %s: %w", wf.Name, err)
	}
	for id, node := range status.Nodes {
		if node.ID == "" {
			node.ID = id
			status.Nodes[id] = node
		}
	}
	wf.Status.Nodes = status.Nodes
	delete(wf.Annotations, foldedNodes)
	return nil
}
