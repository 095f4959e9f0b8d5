package contract

import (
	"context"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// The names of parameters that have a meaning for every action.
const (
	// ParameterStep is filled in by the translator with the name of the step, the identity of a step that is tried again.
	ParameterStep = "step"
	// ParameterDryRun is filled in by the translator with "true" in a dry run.
	ParameterDryRun = "dry-run"
	// ParameterWaitSeconds bounds how long an action waits for its effect.
	ParameterWaitSeconds = "wait-seconds"
)

// OutputChanged is the output in which every action that writes says whether it changed anything.
const OutputChanged = "changed"

// Action is one built-in action: a subcommand of the binary, a template of the catalog and a role.
type Action struct {
	// Name is the name of the subcommand, of the template and of the action.
	Name string
	// Summary is one sentence that says what the action does and for what it waits.
	Summary string
	// Undo says how the effect is undone through the outputs, for the catalog's table.
	Undo string
	// Parameters lists what the action takes, in the order of its template.
	Parameters []Parameter
	// Outputs lists what the action offers to later steps.
	Outputs []Output
	// Rules is the least that the service account of a step must be allowed to do.
	Rules []rbacv1.PolicyRule
	// ClusterScoped is true when the objects have no namespace, so that a RoleBinding does not reach them.
	ClusterScoped bool
	// Aggregated is true when nobody can know the rules beforehand: the role then collects those of other roles, which
	// carry the label AggregationLabel of the action.
	Aggregated bool
	// ToleratesUnschedulable is true when the action's pod has to run on a node that the action itself closed.
	ToleratesUnschedulable bool
	// Run does it. It returns when the effect is true, or with the error that prevented it.
	Run func(ctx context.Context, s *Step) error
}

// Parameter is one input of an action.
type Parameter struct {
	// Name is the parameter's name, in lower case with dashes.
	Name string
	// Description is one sentence for the catalog.
	Description string
	// Required is true when the parameter has no default.
	Required bool
	// Default is the value of a parameter that is not given.
	Default string
	// Enum lists the permitted values; empty permits all.
	Enum []string
	// Base64 is true when the value may hold anything and so travels encoded.
	Base64 bool
	// Check refuses values that can never work; it does not see the empty default of an optional parameter.
	Check func(value string) error
}

// Variable is the name of the environment variable that carries the parameter's value.
func (p Parameter) Variable() string {
	if p.Name == ParameterStep {
		return VariableStep
	}
	return "PARAM_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
}

// Output is one value that an action leaves for later steps.
type Output struct {
	// Name is the output's name, in lower case with dashes.
	Name string
	// Description is one sentence for the catalog.
	Description string
	// Base64 is true when the value may hold anything and so travels encoded.
	Base64 bool
}

// StepParameter is the parameter by which the translator tells an action the name of its step.
func StepParameter() Parameter {
	return Parameter{
		Name:        ParameterStep,
		Description: "The name of the step, by which a step that is tried again knows its own work; filled in by the controller.",
	}
}

// DryRunParameter is the parameter by which the translator asks for a dry run.
func DryRunParameter() Parameter {
	return Parameter{
		Name:        ParameterDryRun,
		Description: "Whether the API server only checks every write and keeps none; filled in by the controller.",
		Default:     "false",
		Enum:        []string{"true", "false"},
	}
}

// WaitParameter is the parameter that bounds how long an action waits for its effect.
func WaitParameter() Parameter {
	return Parameter{
		Name:        ParameterWaitSeconds,
		Description: "How many seconds to wait for the effect, within the step's timeout; 0 does not wait.",
		Default:     "300",
		Check:       NonNegative,
	}
}

// ChangedOutput is the output in which an action says whether it changed anything.
func ChangedOutput() Output {
	return Output{
		Name:        OutputChanged,
		Description: `"true" when the step changed something (in a dry run: would change), "false" when all was as asked before.`,
	}
}
