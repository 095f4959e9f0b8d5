package contract

import (
	"context"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// The names of parameters that mean the same for every action.
const (
	// ParameterStep is set by the translator to the name of the step, which is the same in every attempt.
	ParameterStep = "step"
	// ParameterDryRun is set by the translator to "true" in a dry run.
	ParameterDryRun = "dry-run"
	// ParameterWaitSeconds bounds how long an action waits for its effect.
	ParameterWaitSeconds = "wait-seconds"
)

// OutputChanged is the output of every action that writes: whether the step changed anything.
const OutputChanged = "changed"

// Action is one built-in action: a subcommand of the binary, a template of the catalog and a role.
type Action struct {
	// Name is the name of the action, of its subcommand and of its template.
	Name string
	// Summary is one sentence: what the action does and what it waits for.
	Summary string
	// Undo describes, for the catalog's table, how a rollback undoes the effect from the outputs.
	Undo string
	// Parameters lists the inputs of the action, in the order of its template.
	Parameters []Parameter
	// Outputs lists the values that later steps can use.
	Outputs []Output
	// Rules lists the least permissions that the service account of a step needs.
	Rules []rbacv1.PolicyRule
	// ClusterScoped is true when the action's objects have no namespace, so that a RoleBinding grants no access to them.
	ClusterScoped bool
	// AggregatedVerbs lists the verbs that the action needs on kinds that depend on the installation. The role then
	// collects the rules of other roles, which carry the label AggregationLabel of the action.
	AggregatedVerbs []string
	// ToleratesUnschedulable is true when the action's pod may have to run on a node that the action itself cordoned.
	ToleratesUnschedulable bool
	// Run performs the action. It returns nil when the effect is reached, or the error that prevented it.
	Run func(ctx context.Context, s *Step) error
}

// Binding returns the kind of the object that has to bind the action's role.
func (a Action) Binding() string {
	if a.ClusterScoped {
		return "ClusterRoleBinding"
	}
	return "RoleBinding"
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
	// Base64 is true when the value can be any bytes and is therefore passed encoded.
	Base64 bool
	// Check rejects values that can never work. It is not called for an optional parameter that is not set.
	Check func(value string) error
}

// Variable returns the name of the environment variable that holds the parameter's value.
func (p Parameter) Variable() string {
	if p.Name == ParameterStep {
		return VariableStep
	}
	return "PARAM_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
}

// Output is one value that an action provides to later steps.
type Output struct {
	// Name is the output's name, in lower case with dashes.
	Name string
	// Description is one sentence for the catalog.
	Description string
	// Base64 is true when the value can be any bytes and is therefore passed encoded.
	Base64 bool
}

// StepParameter declares the parameter that holds the name of the step.
func StepParameter() Parameter {
	return Parameter{
		Name:        ParameterStep,
		Description: "The name of the step, so that a retry recognises the work of earlier attempts; set by the controller.",
	}
}

// DryRunParameter declares the parameter that turns the step into a dry run.
func DryRunParameter() Parameter {
	return Parameter{
		Name:        ParameterDryRun,
		Description: "Whether the API server validates every write but persists none; set by the controller.",
		Default:     "false",
		Enum:        []string{"true", "false"},
	}
}

// WaitParameter declares the parameter that bounds how long an action waits for its effect.
func WaitParameter() Parameter {
	return Parameter{
		Name:        ParameterWaitSeconds,
		Description: "How many seconds to wait for the effect, within the step's timeout; 0 does not wait.",
		Default:     "300",
		Check:       NonNegative,
	}
}

// ChangedOutput declares the output OutputChanged.
func ChangedOutput() Output {
	return Output{
		Name:        OutputChanged,
		Description: `"true" if the step changed something (in a dry run: would change), "false" if the object was already as requested.`,
	}
}
