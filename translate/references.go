package translate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// changedOnTheWay matches an output that does not reach the action as it is. Argo evaluates "{{" in a value that it has put
// into a template. The kubelet expands "$(" and "$$", and breaks a character that follows a dollar sign and is not one of
// ASCII. Argo quotes values as Go does, and JSON lacks some of these escapes.
const changedOnTheWay = `[{][{]|[$]([$(]|[^\x00-\x7F])|[\x00-\x07\x0B\x0E-\x1F\x7F]|[^\x00-\x{FFFF}\pL\pM\pN\pP\pS]`

// buildReference is the text that Argo replaces by an output. An output that is not encoded is encoded on the way into a
// parameter that decodes. Any other is empty where it would be changed on the way; the task's condition then fails the step.
func (p *Plan) buildReference(from *wfev1.OutputReference, decodes bool) string {
	output := outputVariable(from.Step, from.Output)
	if p.encodes(from, decodes) {
		return fmt.Sprintf("{{=toBase64(%s)}}", output)
	}
	return fmt.Sprintf("{{=%s matches `%s` ? '' : %s}}", output, changedOnTheWay, output)
}

// encodes reports whether an output is encoded on its way.
func (p *Plan) encodes(from *wfev1.OutputReference, decodes bool) bool {
	return decodes && !p.isBase64(from)
}

func (p *Plan) isBase64(from *wfev1.OutputReference) bool {
	i, _ := p.graph.Index(from.Step)
	action := p.catalog[p.wfe.Spec.Steps[i].Action]
	return action != nil && action.output(from.Output).Base64
}

// outputVariable is an output in the language of Argo's {{=…}} expressions. Names are words and hyphens by the schema, so
// they need no escape.
func outputVariable(step, output string) string {
	return fmt.Sprintf("tasks['%s'].outputs.parameters['%s']", step, output)
}

// buildTaskWhen is the condition of a task: the step's own, and that the outputs that the step reads can be passed on. Where
// one cannot, the condition is a text that is no boolean, and Argo fails the step with it before it creates a pod.
func (p *Plan) buildTaskWhen(step *wfev1.Step) string {
	var refusals strings.Builder
	var seen []string
	action := p.catalog[step.Action]
	for i := range step.Parameters {
		from := step.Parameters[i].ValueFrom
		if from == nil {
			continue
		}
		refusal := p.buildRefusal(from, action.parameter(step.Parameters[i].Name).Base64)
		if !slices.Contains(seen, refusal) {
			seen = append(seen, refusal)
			refusals.WriteString(refusal)
		}
	}
	switch own := buildCondition(step.When); {
	case own == "" && refusals.Len() == 0:
		return ""
	case refusals.Len() == 0:
		return "{{=" + own + "}}"
	case own == "":
		return "{{=" + refusals.String() + "true}}"
	default:
		return "{{=not (" + own + ") ? false : " + refusals.String() + "true}}"
	}
}

// buildRefusal is the head of a conditional expression that yields which output cannot be passed on.
func (p *Plan) buildRefusal(from *wfev1.OutputReference, decodes bool) string {
	output := outputVariable(from.Step, from.Output)
	refused := fmt.Sprintf("sprig.trunc(%d, %s) != %s", maxValueBytes, output, output) // len counts characters
	if !p.encodes(from, decodes) {
		refused = fmt.Sprintf("%s matches `%s` or %s", output, changedOnTheWay, refused)
	}
	return fmt.Sprintf("%s ? 'output %s of step %s refused' : ", refused, from.Output, from.Step)
}

// refusedOutput is how Argo reports a step whose condition is the text of buildRefusal (steps.go shouldExecute).
var refusedOutput = regexp.MustCompile(`^Invalid 'when' expression 'output (\S+) of step (\S+) refused'`)

// describeRefusal says which output a step could not read, and why; empty for a step that failed by something else.
func describeRefusal(node *wfv1.NodeStatus) string {
	found := refusedOutput.FindStringSubmatch(node.Message)
	if found == nil || node.Type != wfv1.NodeTypeSkipped {
		return ""
	}
	return fmt.Sprintf(`output %q of step %q cannot be passed to this step: it has more than %d bytes, a control or unprintable character, or one of "{{", "$(" and "$$"; let the action print a plain value, or pass it by a parameter that the catalog declares as base64`,
		found[1], found[2], maxValueBytes)
}
