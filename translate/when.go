package translate

import (
	"fmt"
	"strconv"
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// argoStatuses are the values of Argo's tasks.X.status for each phase in which a step can end.
var argoStatuses = map[wfev1.StepPhase][]string{
	wfev1.StepCompleted: {"Succeeded"},
	wfev1.StepFailed:    {"Failed", "Error"},
	wfev1.StepSkipped:   {"Skipped", "Omitted"},
}

// buildCondition translates a condition into an expression of Argo. An output is a variable of the expression and never part
// of its text, so no value can change the expression.
func buildCondition(when *wfev1.When) string {
	if when == nil {
		return ""
	}
	variable := fmt.Sprintf("tasks['%s'].status", when.Step)
	values := when.Values
	if when.Output != "" {
		variable = outputVariable(when.Step, when.Output)
	} else {
		values = statusesOf(values)
	}
	var condition string
	switch when.Operator {
	case wfev1.OperatorIn:
		condition = fmt.Sprintf("%s in %s", variable, quoteList(values))
	case wfev1.OperatorNotIn:
		condition = fmt.Sprintf("not (%s in %s)", variable, quoteList(values))
	case wfev1.OperatorExists:
		condition = variable + ` != ""`
	case wfev1.OperatorDoesNotExist:
		condition = variable + ` == ""`
	}
	return condition
}

func statusesOf(phases []string) []string {
	var statuses []string
	for _, phase := range phases {
		statuses = append(statuses, argoStatuses[wfev1.StepPhase(phase)]...)
	}
	return statuses
}

// literalEscapes replaces the characters of a string literal that Argo would interpret: braces, which can end the template
// tag, and backslashes, since Argo replaces \u003c, \u003e and \u0026 anywhere in the text (util/json Fix).
var literalEscapes = strings.NewReplacer("{", `\x7b`, "}", `\x7d`, `\\`, `\x5c`)

// quoteList returns a list of string literals. No value can end its literal.
func quoteList(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = literalEscapes.Replace(strconv.QuoteToASCII(value))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
