package selectors

import (
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Unended selects the executions that have not ended.
func Unended() fields.Selector {
	return inPhases(func(phase wfev1.Phase) bool { return !phase.IsTerminal() })
}

// Ended selects the executions that have ended.
func Ended() fields.Selector { return inPhases(wfev1.Phase.IsTerminal) }

// inPhases selects executions by status.phase, a selectable field of the definition. No phase is a phase too: that of an
// execution without a status.
func inPhases(wanted func(wfev1.Phase) bool) fields.Selector {
	var terms []fields.Selector
	for _, phase := range append([]wfev1.Phase{""}, wfev1.Phases...) {
		if !wanted(phase) {
			terms = append(terms, fields.OneTermNotEqualSelector("status.phase", string(phase)))
		}
	}
	return fields.AndSelectors(terms...)
}

// Unobserved selects the controller's Workflows whose end has not been recorded: of the others there may be many, with many
// nodes.
func Unobserved() labels.Selector {
	return labels.NewSelector().Add(label(wfev1.LabelRole, selection.Exists), label(wfev1.LabelObserved, selection.DoesNotExist))
}

// Actions selects the templates of the catalog.
func Actions() labels.Selector {
	return labels.NewSelector().Add(label(wfev1.LabelAction, selection.Exists))
}

func label(key string, operator selection.Operator) labels.Requirement {
	requirement, err := labels.NewRequirement(key, operator, nil)
	if err != nil {
		panic(err) // the keys are constants of package api, and valid
	}
	return *requirement
}
