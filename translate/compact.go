package translate

import (
	"fmt"
	"maps"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/workflow/packer"
)

// compactedNodes is the annotation that holds the nodes of a compacted Workflow. The API server refuses such a key, so no
// Workflow from there has it.
const compactedNodes = "compacted nodes"

// Compact returns what this package reads of a Workflow, with its nodes encoded in one annotation: a tenth of the memory,
// for a cache. Nodes that Argo compressed stay as they are. A patch made of two compacted Workflows has their differences
// only, nothing of what was left out.
func Compact(wf *wfv1.Workflow) (*wfv1.Workflow, error) {
	if _, already := wf.Annotations[compactedNodes]; already {
		return wf, nil
	}
	compacted := &wfv1.Workflow{
		TypeMeta:   wf.TypeMeta,
		ObjectMeta: wf.ObjectMeta,
		Spec:       wfv1.WorkflowSpec{Shutdown: wf.Spec.Shutdown, Suspend: wf.Spec.Suspend},
		Status: wfv1.WorkflowStatus{
			Phase: wf.Status.Phase, FinishedAt: wf.Status.FinishedAt, Message: wf.Status.Message,
			CompressedNodes: wf.Status.CompressedNodes, OffloadNodeStatusVersion: wf.Status.OffloadNodeStatusVersion,
		},
	}
	compacted.ManagedFields = nil
	for i := range wf.Spec.Templates {
		if t := &wf.Spec.Templates[i]; t.RetryStrategy != nil && t.RetryStrategy.Limit != nil {
			limit := *t.RetryStrategy.Limit
			compacted.Spec.Templates = append(compacted.Spec.Templates, wfv1.Template{Name: t.Name, RetryStrategy: &wfv1.RetryStrategy{Limit: &limit}})
		}
	}
	if len(wf.Status.Nodes) == 0 {
		return compacted, nil
	}
	nodes := make(wfv1.Nodes, len(wf.Status.Nodes))
	for id, node := range wf.Status.Nodes {
		nodes[id] = compactNode(id, &node)
	}
	encoded, err := (&wfv1.WorkflowStatus{Nodes: nodes}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode the nodes of Workflow %s: %w", wf.Name, err)
	}
	compacted.Annotations = make(map[string]string, len(wf.Annotations)+1)
	maps.Copy(compacted.Annotations, wf.Annotations)
	compacted.Annotations[compactedNodes] = string(encoded)
	return compacted, nil
}

// compactNode returns what this package reads of a node.
func compactNode(id string, node *wfv1.NodeStatus) wfv1.NodeStatus {
	needed := wfv1.NodeStatus{
		ID: node.ID, Name: node.Name, Type: node.Type, Phase: node.Phase, Message: node.Message,
		TemplateName: node.TemplateName, TemplateRef: node.TemplateRef, HostNodeName: node.HostNodeName,
		StartedAt: node.StartedAt, FinishedAt: node.FinishedAt,
		Daemoned: node.Daemoned, TaskResultSynced: node.TaskResultSynced,
	}
	if node.ID == id {
		needed.ID = "" // Expand takes it from the key
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

// Expand returns a Workflow that has all of its nodes: those that Compact encoded, and those that Argo compressed. It shares
// what it does not change with its argument, and returns the argument itself if that has its nodes. The compressed form
// stays in place as the sign that Argo wants the nodes compressed. An error means that the nodes cannot be read.
func Expand(wf *wfv1.Workflow) (*wfv1.Workflow, error) {
	expanded := *wf
	if encoded, compacted := wf.Annotations[compactedNodes]; compacted {
		nodes, err := decodeNodes(encoded)
		if err != nil {
			return nil, fmt.Errorf("the compacted nodes of Workflow %s cannot be read: %w", wf.Name, err)
		}
		expanded.Status.Nodes = nodes
		expanded.Annotations = maps.Clone(wf.Annotations)
		delete(expanded.Annotations, compactedNodes)
		return &expanded, nil
	}
	if wf.Status.CompressedNodes == "" || len(wf.Status.Nodes) > 0 { // Argo ignores the compressed nodes beside others
		return wf, nil
	}
	expanded.Status.Nodes = nil // an empty map would be filled in place
	if err := packer.DecompressWorkflow(&expanded); err != nil {
		return nil, fmt.Errorf("the compressed nodes of Workflow %s cannot be read: %w", wf.Name, err)
	}
	expanded.Status.CompressedNodes = wf.Status.CompressedNodes
	return &expanded, nil
}

func decodeNodes(encoded string) (wfv1.Nodes, error) {
	var status wfv1.WorkflowStatus
	if err := status.Unmarshal([]byte(encoded)); err != nil {
		return nil, err
	}
	for id, node := range status.Nodes {
		if node.ID == "" {
			node.ID = id
			status.Nodes[id] = node
		}
	}
	return status.Nodes, nil
}
