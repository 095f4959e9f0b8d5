package translate

import (
	"fmt"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxListedProblems bounds how many problems an InvalidError spells out, so that its text fits a condition.
const maxListedProblems = 5

// Problem is one fault of a specification.
type Problem struct {
	// Step is the name of the step with the fault; empty if the fault is not in one step.
	Step string
	// Field is the path of the field, relative to the step, or to spec if Step is empty.
	Field string
	// Reason is InvalidSpec, UnknownAction or WorkflowTooLarge.
	Reason wfev1.FailureReason
	// Message says what is wrong and how to correct it.
	Message string
}

// String returns the problem in one line that names step and field.
func (p Problem) String() string {
	if p.Step == "" && strings.HasPrefix(p.Field, "metadata.") {
		return fmt.Sprintf("%s: %s", p.Field, p.Message)
	}
	if p.Step == "" {
		return fmt.Sprintf("spec.%s: %s", p.Field, p.Message)
	}
	return fmt.Sprintf("step %q: %s: %s", p.Step, p.Field, p.Message)
}

// InvalidError means that a specification cannot run unless it is changed. It has at least one problem.
type InvalidError struct {
	Problems []Problem
}

// Error lists the first problems in the order of the specification, and counts the others.
func (e *InvalidError) Error() string {
	listed := e.Problems[:min(len(e.Problems), maxListedProblems)]
	lines := make([]string, 0, len(listed)+1)
	for _, p := range listed {
		lines = append(lines, p.String())
	}
	if more := len(e.Problems) - len(listed); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

// First returns the problem that becomes the execution's failure.
func (e *InvalidError) First() Problem { return e.Problems[0] }

func invalidf(step, field, format string, args ...any) Problem {
	return Problem{Step: step, Field: field, Reason: wfev1.ReasonInvalidSpec, Message: fmt.Sprintf(format, args...)}
}
