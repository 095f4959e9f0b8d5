package translate

import (
	"encoding/json"
	"fmt"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// MaxWorkflowBytes is the largest Workflow, encoded as JSON and with its packed nodes, that Argo writes (workflow/packer);
	// it marks a larger one as failed.
	MaxWorkflowBytes = 1 << 20
	// maxExecutionBytes is the largest execution with its status: etcd refuses requests above 1.5 MiB.
	maxExecutionBytes = 1500 << 10
	// maxNodeOutputBytes is the room for the outputs of a Workflow's nodes, and for those that a rollback passes on. They are
	// short words as a rule; the bound of the status would leave no room for steps.
	maxNodeOutputBytes = 128 << 10

	// What a node takes beside its inputs: as it is, in the managed fields of the object, and packed. Names repeat within a
	// node, so that packing leaves little of them.
	nodeBytes        = 1 << 10
	managedNodeBytes = 512
	packedNodeBytes  = 96
	// shortValueBytes is the size up to which packedNodeBytes covers a value. The value of a reference is one of the outputs.
	shortValueBytes = 64
	// childBytes is the key of a node in the list of another's children, packedChildBytes is what packing leaves of it.
	childBytes, packedChildBytes = 80, 12
	// stepStatusBytes is what the status of a step takes beside names, message and outputs.
	stepStatusBytes = 256
)

// CheckSize checks that the plan's main Workflow, its rollback and the execution never become too large for their objects,
// whatever the steps do. The error is an *InvalidError with the numbers. It takes as long as encoding both Workflows.
func (p *Plan) CheckSize(main *wfv1.Workflow) error {
	sizes := []struct {
		what string
		size int
		most int
	}{
		{"the Workflow would have up to %d bytes with Argo's record of its nodes", workflowSize(main, 0), MaxWorkflowBytes},
		{"the rollback's Workflow would have up to %d bytes with Argo's record of its nodes", p.rollbackSize(), MaxWorkflowBytes},
		{"the execution would have up to %d bytes with its status", p.executionSize(), maxExecutionBytes},
	}
	for _, s := range sizes {
		if s.size > s.most {
			message := fmt.Sprintf(s.what, s.size) + fmt.Sprintf(", and at most %d are allowed: use fewer steps or smaller values", s.most)
			return &InvalidError{Problems: []Problem{{Field: "steps", Reason: wfev1.ReasonWorkflowTooLarge, Message: message}}}
		}
	}
	return nil
}

// rollbackSize is the size of the rollback's Workflow if every step is undone.
func (p *Plan) rollbackSize() int {
	var undone []int
	references := 0
	for i := len(p.graph.Order()) - 1; i >= 0; i-- {
		step := &p.wfe.Spec.Steps[p.graph.Order()[i]]
		if step.Rollback == nil {
			continue
		}
		undone = append(undone, p.graph.Order()[i])
		for j := range step.Rollback.Parameters {
			if step.Rollback.Parameters[j].ValueFrom != nil {
				references++
			}
		}
	}
	if len(undone) == 0 {
		return 0
	}
	order := p.newUndoOrder(undone, newBitset(len(p.wfe.Spec.Steps)))
	return workflowSize(p.buildRollback(order, nil, Options{}), min(maxNodeOutputBytes, references*maxValueBytes))
}

// workflowSize bounds what a Workflow takes at its end, with outputs of this size in its arguments: with its nodes as they
// are, where they fit, else with its packed nodes. Argo records the inputs of every node, and packs the nodes when the object
// becomes too large. The values are taken for ones that cannot be compressed; base64 then makes them a third larger.
func workflowSize(wf *wfv1.Workflow, outputs int) int {
	const envelope = 4 << 10
	spec := jsonSize(wf) + envelope + outputs
	templates := make(map[string]*wfv1.Template, len(wf.Spec.Templates))
	inputs := make(map[string]int, len(wf.Spec.Templates))
	for i := range wf.Spec.Templates {
		t := &wf.Spec.Templates[i]
		templates[t.Name], inputs[t.Name] = t, jsonSize(t.Inputs)
	}
	nodes, values, described, children := 1, outputs, 0, 0
	for i := range wf.Spec.Templates[0].DAG.Tasks {
		task := &wf.Spec.Templates[0].DAG.Tasks[i]
		copies := 1
		if retry := templates[task.Template].RetryStrategy; retry != nil {
			copies = retry.Limit.IntValue() + 2
		}
		nodes += copies
		given := 0
		for j := range task.Arguments.Parameters {
			if value := task.Arguments.Parameters[j].Value.String(); len(value) > shortValueBytes && !strings.HasPrefix(value, "{{=") {
				given += jsonSize(value)
			}
		}
		values += copies * given
		described += copies * (inputs[task.Template] + jsonSize(task.Arguments.Parameters) - given)
		children += strings.Count(task.Depends, "&&") + copies
		if hasOutputs := len(templates[task.Template].Outputs.Parameters) > 0; hasOutputs {
			outputs += maxValueBytes
		}
	}
	values += min(outputs, maxNodeOutputBytes)
	plain := nodes*(nodeBytes+managedNodeBytes) + values + described + children*childBytes
	if spec+plain <= MaxWorkflowBytes {
		return spec + plain
	}
	packed := nodes*packedNodeBytes + values*4/3 + described/32 + children*packedChildBytes
	// When Argo packs for the first time, the managed fields still name each field of the nodes that there are.
	first := (packed + nodes*managedNodeBytes) * max(0, MaxWorkflowBytes-spec) / plain
	return spec + max(packed, first)
}

// executionSize is the most that the execution takes with its status.
func (p *Plan) executionSize() int {
	spec := &p.wfe.Spec
	outputs, undos, steps := 0, 0, 0
	status := func(step, action string) {
		// The name of a pod holds those of the execution and of the action, and a hash.
		steps += stepStatusBytes + len(step) + 2*len(action) + len(p.wfe.Name)
	}
	for i := range spec.Steps {
		step := &spec.Steps[i]
		status(step.Name, step.Action)
		if action := p.catalog[step.Action]; action != nil {
			outputs += len(action.Outputs) * maxValueBytes
		}
		if step.Rollback != nil {
			undos++
			status(step.Name, step.Rollback.Action)
		}
	}
	messages := min(maxMessagesBytes, len(spec.Steps)*maxMessageBytes) + min(maxMessagesBytes, undos*maxMessageBytes)
	return jsonSize(p.wfe.ObjectMeta) + jsonSize(spec) + steps + messages + min(maxOutputBytes, outputs) + min(maxUndoOutputBytes, undos*maxValueBytes)
}

func jsonSize(value any) int {
	encoded, err := json.Marshal(value)
	if err != nil {
		return MaxWorkflowBytes + 1 // what cannot be encoded cannot be sent
	}
	return len(encoded)
}
