package translate

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Template is a WorkflowTemplate or a ClusterWorkflowTemplate.
type Template interface {
	wfv1.WorkflowSpecHolder
	runtime.Object
}

// Claim is a template that is labelled as an action, with the action or with the reason why it is none.
type Claim struct {
	// Template is the template.
	Template Template
	// Action is the action, nil if there is a problem.
	Action *Action
	// Problem says how the template breaks the catalog's contract, nil if it does not.
	Problem error
}

// claimKey identifies what only one template may claim.
type claimKey struct{ kind, namespace, action string }

// NewClaims reads templates that are labelled as actions, in their order. If several of one kind and namespace claim the
// same action, all of them are broken: none of them has precedence.
func NewClaims(templates []Template) []Claim {
	claimed := map[claimKey]int{}
	for _, t := range templates {
		claimed[keyOfClaim(t)]++
	}
	claims := make([]Claim, len(templates))
	for i, t := range templates {
		claims[i] = Claim{Template: t}
		key := keyOfClaim(t)
		if n := claimed[key]; n > 1 {
			claims[i].Problem = fmt.Errorf("%s/%s: %d templates claim action %q, so none of them is used: remove the label from all but one", key.kind, t.GetName(), n, key.action)
			continue
		}
		meta := metav1.ObjectMeta{Name: t.GetName(), Labels: t.GetLabels(), Annotations: t.GetAnnotations()}
		claims[i].Action, claims[i].Problem = NewAction(key.kind, meta, t.GetWorkflowSpec())
	}
	return claims
}

// Broken returns the claims that have a problem, in their order.
func Broken(claims []Claim) []Claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool { return c.Problem == nil })
}

func keyOfClaim(t Template) claimKey {
	kind := "WorkflowTemplate"
	if _, isCluster := t.(*wfv1.ClusterWorkflowTemplate); isCluster {
		kind = "ClusterWorkflowTemplate"
	}
	return claimKey{kind: kind, namespace: t.GetNamespace(), action: t.GetLabels()[wfev1.LabelAction]}
}
