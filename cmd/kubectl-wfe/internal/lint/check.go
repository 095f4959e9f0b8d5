package lint

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// Checker checks documents against the schema and a catalog.
type Checker struct {
	schema  *schema
	catalog translate.Catalog
}

// NewChecker returns a checker for executions that use the actions of a catalog.
func NewChecker(catalog translate.Catalog) (*Checker, error) {
	s, err := newSchema()
	if err != nil {
		return nil, err
	}
	return &Checker{schema: s, catalog: catalog}, nil
}

// Valid is an execution without problems, with its defaults and its plan.
type Valid struct {
	WFE  *wfev1.WorkflowExecution
	Plan *translate.Plan
}

// Check checks the executions in a file. The problems are sorted by line.
func (c *Checker) Check(file string, content []byte) ([]Valid, []Problem) {
	documents, problems := read(file, content)
	var valid []Valid
	for _, d := range documents {
		wfe, plan, found := c.check(d)
		if len(found) == 0 {
			valid = append(valid, Valid{WFE: wfe, Plan: plan})
		}
		problems = append(problems, found...)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return valid, slices.Compact(problems)
}

func (c *Checker) check(d *document) (*wfev1.WorkflowExecution, *translate.Plan, []Problem) {
	if version, _ := d.object["apiVersion"].(string); version != wfev1.GroupVersion.String() {
		return nil, nil, []Problem{d.problem("", "apiVersion", fmt.Sprintf("%q is not %s", version, wfev1.GroupVersion))}
	}
	problems := append(d.repeatedKeys(), d.fixMetadata()...)
	object := runtime.DeepCopyJSON(d.object)
	if metadata, isObject := object["metadata"].(map[string]any); isObject {
		metadata["name"] = d.name()
	}
	unknown, invalid := c.schema.validate(object)
	for _, path := range unknown {
		problems = append(problems, d.problem("", path, c.schema.unknownField(path)))
	}
	for _, e := range invalid {
		problems = append(problems, d.fieldProblem(e))
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, wfe); err != nil {
		if len(problems) == 0 {
			problems = append(problems, d.problem("", "", err.Error()))
		}
		return nil, nil, problems
	}
	plan, err := translate.NewPlan(wfe, c.catalog)
	var found *translate.InvalidError
	if errors.As(err, &found) {
		for _, p := range found.Problems {
			p.Message = c.withSuggestion(wfe, p)
			problems = d.addUnlessReported(problems, p)
		}
	}
	return wfe, plan, problems
}

// addUnlessReported adds a problem of the translator, unless the schema reports the same field. It replaces a schema
// problem with the same message and a less exact path.
func (d *document) addUnlessReported(problems []Problem, p translate.Problem) []Problem {
	path := p.Field
	if p.Step == "" && !strings.HasPrefix(path, "metadata.") {
		path = "spec." + path
	}
	for i, reported := range problems {
		switch {
		case reported.Step == p.Step && reported.Message == p.Message && strings.HasPrefix(path, reported.Field):
			problems[i] = d.problem(p.Step, path, p.Message)
			return problems
		case reported.Step == p.Step && reported.Field == path:
			return problems
		}
	}
	return append(problems, d.problem(p.Step, path, p.Message))
}

// fieldProblem converts an error of the schema.
func (d *document) fieldProblem(e *field.Error) Problem {
	if match := ofStep.FindStringSubmatch(e.Detail); match != nil {
		return d.problem(match[1], match[2], match[3])
	}
	if message, isType := d.typeProblem(e); isType {
		return d.problem("", pathOf(e), message)
	}
	return d.problem("", pathOf(e), messageOf(e))
}

// ofStep matches the message of a rule on steps, which starts with the step and the field like a translator problem.
var ofStep = regexp.MustCompile(`^step "([^"]*)": ([a-zA-Z.]+): (.*)$`)

var stepPath = regexp.MustCompile(`^spec\.steps\[(\d+)\]\.?`)

// problem reports a message for a field. A path below spec.steps is reported with the step's name.
func (d *document) problem(step, path, message string) Problem {
	return d.problemAt(d.lineOf(step, path), d.locate(step, path), message)
}

type location struct{ step, path string }

func (d *document) locate(step, path string) location {
	match := stepPath.FindStringSubmatch(path)
	if step != "" || match == nil {
		return location{step, path}
	}
	i, _ := strconv.Atoi(match[1]) // digits only
	spec, _ := d.object["spec"].(map[string]any)
	steps, _ := spec["steps"].([]any)
	if i >= len(steps) {
		return location{"", path}
	}
	fields, _ := steps[i].(map[string]any)
	name, _ := fields["name"].(string)
	if name == "" {
		return location{"", path}
	}
	return location{name, strings.TrimPrefix(path, match[0])}
}

func (d *document) problemAt(line int, at location, message string) Problem {
	return Problem{File: d.file, Line: line, Execution: d.name(), Step: at.step, Field: at.path, Message: message}
}
