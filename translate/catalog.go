package translate

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The parameters that the translator sets on an action that declares them. A specification must not set them.
const (
	// ParameterStep is the step's name, so that an action can distinguish a retry from another step.
	ParameterStep = "step"
	// ParameterDryRun is "true" in a dry run and "false" otherwise. An action that declares it supports dry runs.
	ParameterDryRun = "dry-run"
)

// ExitCodeNeverWorks is the exit code of an action that no retry can help: the retry strategy stops at it.
const ExitCodeNeverWorks = "64"

// Action is one entry of the catalog: an Argo template that steps can name.
type Action struct {
	// Name is the value of the template's action label.
	Name string
	// Source names the object that the action was read from, as Kind/name.
	Source string
	// Summary is the template's description; empty if it has none.
	Summary string
	// Parameters are the inputs, in the template's order.
	Parameters []ActionParameter
	// Outputs are the outputs, in the template's order.
	Outputs []ActionOutput

	template wfv1.Template
	inputs   map[string]int
	outputs  map[string]int
}

// ActionParameter is an input of an action.
type ActionParameter struct {
	Name        string
	Description string
	// Default is the value if none is given; nil means that the parameter is required.
	Default *string
	// Enum lists the allowed values; empty allows any.
	Enum []string
	// Base64 means that the value may be any bytes and is passed encoded.
	Base64 bool
}

// ActionOutput is an output of an action.
type ActionOutput struct {
	Name        string
	Description string
	// Default is the value if the action reports none, for example because its step is skipped.
	Default string
	// Base64 means that the action encodes the value.
	Base64 bool
}

// Catalog holds actions by name.
type Catalog map[string]*Action

// NewCatalog makes the catalog of a namespace from the claims that are valid. A template of the namespace replaces one of
// the cluster with the same action, also when it is broken.
func NewCatalog(claims []Claim) Catalog {
	catalog := Catalog{}
	for _, namespaced := range []bool{false, true} {
		for _, c := range claims {
			key := keyOfClaim(c.Template)
			if namespaced != (key.namespace != "") {
				continue
			}
			delete(catalog, key.action)
			if c.Action != nil {
				catalog[key.action] = c.Action
			}
		}
	}
	return catalog
}

// NewAction reads an action from a WorkflowTemplate or ClusterWorkflowTemplate. The error says which field of the
// template breaks the catalog's contract: the entrypoint is a container, script or resource template, nothing is set
// outside of it, each output has a default, and no input becomes part of a command, a script or a manifest.
func NewAction(kind string, meta metav1.ObjectMeta, spec *wfv1.WorkflowSpec) (*Action, error) {
	a := &Action{Name: meta.Labels[wfev1.LabelAction], Source: kind + "/" + meta.Name, Summary: meta.Annotations[descriptionAnnotation]}
	if !isName(a.Name, 63) {
		return nil, fmt.Errorf("%s: label %s: %q is not a valid name: use lower-case letters, digits and hyphens, and begin with a letter", a.Source, wfev1.LabelAction, a.Name)
	}
	if fields := otherFields(spec); len(fields) > 0 {
		return nil, fmt.Errorf("%s: spec.%s: only the entrypoint's template is copied into a Workflow, so everything must be inside it", a.Source, fields[0])
	}
	position := slices.IndexFunc(spec.Templates, func(t wfv1.Template) bool { return t.Name == spec.Entrypoint })
	if position < 0 {
		return nil, fmt.Errorf("%s: spec.entrypoint: there is no template %q", a.Source, spec.Entrypoint)
	}
	a.template = *spec.Templates[position].DeepCopy()
	if err := checkActionTemplate(&a.template); err != nil {
		return nil, fmt.Errorf("%s: template %q: %w", a.Source, a.template.Name, err)
	}
	if err := a.readParameters(meta.Annotations[wfev1.AnnotationBase64Parameters]); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Source, err)
	}
	if err := a.readOutputs(meta.Annotations[wfev1.AnnotationBase64Outputs]); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Source, err)
	}
	return a, nil
}

// otherFields lists the fields that a template's spec sets beside entrypoint and templates, sorted.
func otherFields(spec *wfv1.WorkflowSpec) []string {
	rest := *spec
	rest.Entrypoint, rest.Templates = "", nil
	encoded, err := json.Marshal(rest)
	if err != nil {
		return []string{"?"}
	}
	var set map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &set); err != nil {
		return []string{"?"}
	}
	var fields []string
	for name, value := range set {
		if s := string(value); s != "{}" && s != "null" {
			fields = append(fields, name)
		}
	}
	sort.Strings(fields)
	return fields
}

func checkActionTemplate(t *wfv1.Template) error {
	kinds := 0
	for _, is := range []bool{
		t.Container != nil, t.Script != nil, t.Resource != nil,
		t.DAG != nil || t.Steps != nil || t.Suspend != nil || t.Data != nil || t.HTTP != nil || t.Plugin != nil || t.ContainerSet != nil,
	} {
		if is {
			kinds++
		}
	}
	if kinds != 1 || t.Container == nil && t.Script == nil && t.Resource == nil {
		return fmt.Errorf("an action needs a container, script or resource template")
	}
	refused := []struct {
		field string
		set   bool
		why   string
	}{
		{"retryStrategy", t.RetryStrategy != nil, "each step has its own retry"},
		{"podSpecPatch", t.PodSpecPatch != "", "the translator sets it"},
		{"daemon", t.Daemon != nil, "a step must end"},
		{"memoize", t.Memoize != nil, "a step must always run"},
		{"synchronization", t.Synchronization != nil, "the controller locks the target"},
		{"serviceAccountName", t.ServiceAccountName != "", "the execution names the service account"},
		{"inputs.artifacts", len(t.Inputs.Artifacts) > 0, "steps exchange parameters only"},
		{"outputs.artifacts", len(t.Outputs.Artifacts) > 0, "steps exchange parameters only"},
		{"metrics", t.Metrics != nil, "the controller has the metrics"},
	}
	for _, r := range refused {
		if r.set {
			return fmt.Errorf("%s is not allowed: %s", r.field, r.why)
		}
	}
	return checkTemplateInjection(t)
}

func (a *Action) readParameters(base64List string) error {
	a.inputs = make(map[string]int, len(a.template.Inputs.Parameters))
	for i := range a.template.Inputs.Parameters {
		in := &a.template.Inputs.Parameters[i]
		if !parameterNamePattern.MatchString(in.Name) {
			return fmt.Errorf("parameter %q: a name has letters, digits, hyphens and underscores", in.Name)
		}
		if in.ValueFrom != nil {
			return fmt.Errorf("parameter %q: valueFrom is not allowed in an action's inputs", in.Name)
		}
		p := ActionParameter{Name: in.Name, Description: description(in), Default: textOf(in.Default)}
		if in.Value != nil {
			p.Default = textOf(in.Value)
		}
		for _, word := range in.Enum {
			p.Enum = append(p.Enum, word.String())
		}
		a.inputs[in.Name] = i
		a.Parameters = append(a.Parameters, p)
	}
	return markBase64(base64List, "parameter", a.inputs, func(i int) { a.Parameters[i].Base64 = true })
}

func (a *Action) readOutputs(base64List string) error {
	a.outputs = make(map[string]int, len(a.template.Outputs.Parameters))
	for i := range a.template.Outputs.Parameters {
		out := &a.template.Outputs.Parameters[i]
		if !parameterNamePattern.MatchString(out.Name) {
			return fmt.Errorf("output %q: a name has letters, digits, hyphens and underscores", out.Name)
		}
		if out.ValueFrom == nil || out.ValueFrom.Default == nil {
			return fmt.Errorf("output %q: valueFrom.default is required: without it, a failed step ends in Error", out.Name)
		}
		a.outputs[out.Name] = i
		a.Outputs = append(a.Outputs, ActionOutput{Name: out.Name, Description: description(out), Default: out.ValueFrom.Default.String()})
	}
	return markBase64(base64List, "output", a.outputs, func(i int) { a.Outputs[i].Base64 = true })
}

func markBase64(list, what string, known map[string]int, mark func(int)) error {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		i, ok := known[name]
		if !ok {
			return fmt.Errorf("the base64 annotation names %s %q, which the template does not have", what, name)
		}
		mark(i)
	}
	return nil
}

// parameter returns the input with this name, or nil.
func (a *Action) parameter(name string) *ActionParameter {
	if i, ok := a.inputs[name]; ok {
		return &a.Parameters[i]
	}
	return nil
}

// output returns the output with this name, or nil.
func (a *Action) output(name string) *ActionOutput {
	if i, ok := a.outputs[name]; ok {
		return &a.Outputs[i]
	}
	return nil
}

func description(parameter *wfv1.Parameter) string {
	if text := textOf(parameter.Description); text != nil {
		return *text
	}
	return ""
}

func textOf(s *wfv1.AnyString) *string {
	if s == nil {
		return nil
	}
	text := s.String()
	return &text
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
