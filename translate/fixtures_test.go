package translate

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/workflow/validate"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// readCatalog reads the actions of testdata/catalog.yaml.
func readCatalog(tb testing.TB) Catalog {
	tb.Helper()
	content, err := os.ReadFile("testdata/catalog.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	catalog := Catalog{}
	for _, document := range strings.Split(string(content), "\n---\n") {
		var template wfv1.ClusterWorkflowTemplate
		if err := yaml.UnmarshalStrict([]byte(document), &template); err != nil {
			tb.Fatalf("read %s: %v", document, err)
		}
		action, err := NewAction(template.Kind, template.ObjectMeta, &template.Spec)
		if err != nil {
			tb.Fatal(err)
		}
		catalog[action.Name] = action
	}
	return catalog
}

// noTemplates is the templates that a self-contained Workflow may refer to: none.
type noTemplates[T any] struct{}

func (noTemplates[T]) Get(name string) (*T, error) {
	return nil, errors.New("a Workflow refers to template " + name)
}

// validateWithArgo runs Argo's own validator, which its controller calls before it runs a Workflow.
func validateWithArgo(wf *wfv1.Workflow) error {
	return validate.ValidateWorkflow(noTemplates[wfv1.WorkflowTemplate]{}, noTemplates[wfv1.ClusterWorkflowTemplate]{},
		wf.DeepCopy(), nil, validate.ValidateOpts{})
}

// newExecution is an execution of these steps that is valid as far as the steps are.
func newExecution(steps ...wfev1.Step) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Name: "fix", Namespace: "shop", UID: "6ba7b810"},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "payment-api"},
			Steps:  steps,
		},
	}
}

// mustPlan is the plan of an execution that the test takes to be valid.
func mustPlan(tb testing.TB, wfe *wfev1.WorkflowExecution, catalog Catalog) *Plan {
	tb.Helper()
	plan, err := NewPlan(wfe, catalog)
	if err != nil {
		tb.Fatal(err)
	}
	return plan
}

// newStep is a step of an action that has no parameters, changed as the options say.
func newStep(name string, options ...func(*wfev1.Step)) wfev1.Step {
	step := wfev1.Step{Name: name, Action: "noop"}
	for _, option := range options {
		option(&step)
	}
	return step
}

func runs(action string) func(*wfev1.Step) {
	return func(s *wfev1.Step) { s.Action = action }
}

func after(names ...string) func(*wfev1.Step) {
	return func(s *wfev1.Step) { s.DependsOn = names }
}

func notCritical(s *wfev1.Step) { s.Critical = ptr.To(false) }

func with(name, value string) func(*wfev1.Step) {
	return func(s *wfev1.Step) {
		s.Parameters = append(s.Parameters, wfev1.Parameter{Name: name, Value: &value})
	}
}

func withOutput(name, step, output string) func(*wfev1.Step) {
	return func(s *wfev1.Step) {
		s.Parameters = append(s.Parameters, wfev1.Parameter{Name: name, ValueFrom: &wfev1.OutputReference{Step: step, Output: output}})
	}
}

func when(step, output string, operator wfev1.Operator, values ...string) func(*wfev1.Step) {
	return func(s *wfev1.Step) {
		s.When = &wfev1.When{Step: step, Output: output, Operator: operator, Values: values}
	}
}

func asApproval(message string) func(*wfev1.Step) {
	return func(s *wfev1.Step) { s.Action, s.Approval = "", &wfev1.ApprovalRequest{Message: message} }
}

func undoneBy(action string, parameters ...wfev1.Parameter) func(*wfev1.Step) {
	return func(s *wfev1.Step) { s.Rollback = &wfev1.Rollback{Action: action, Parameters: parameters} }
}
