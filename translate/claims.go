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

// Claim is a template that carries the label of an action: either the action, or what keeps it from being one.
type Claim struct {
	// Template is what was judged.
	Template Template
	// Action is nil when there is a problem.
	Action *Action
	// Problem says what breaks the catalog's contract, nil if nothing does.
	Problem error
}

// place is where a name of an action can be claimed once.
type place struct{ kind, namespace, action string }

// NewClaims judges templates with the label of an action, in their order. Those of one kind and namespace that claim the
// same action are all broken: nobody could say which of them runs.
func NewClaims(templates []Template) []Claim {
	claimed := map[place]int{}
	for _, t := range templates {
		claimed[placeOf(t)]++
	}
	claims := make([]Claim, len(templates))
	for i, t := range templates {
		claims[i] = Claim{Template: t}
		where := placeOf(t)
		if n := claimed[where]; n > 1 {
			claims[i].Problem = fmt.Errorf("%s/%s: %d templates claim action %q, so none of them is it", where.kind, t.GetName(), n, where.action)
			continue
		}
		meta := metav1.ObjectMeta{Name: t.GetName(), Labels: t.GetLabels(), Annotations: t.GetAnnotations()}
		claims[i].Action, claims[i].Problem = NewAction(where.kind, meta, t.GetWorkflowSpec())
	}
	return claims
}

// NewCatalog is the catalog of a namespace: its own templates come before those of the cluster, also when they are broken.
// What is broken is left out of it.
func NewCatalog(claims []Claim) Catalog {
	catalog := Catalog{}
	for _, namespaced := range []bool{false, true} {
		for _, c := range claims {
			if where := placeOf(c.Template); (where.namespace != "") == namespaced {
				delete(catalog, where.action)
				if c.Action != nil {
					catalog[where.action] = c.Action
				}
			}
		}
	}
	return catalog
}

// Broken are the claims that have a problem, in their order.
func Broken(claims []Claim) []Claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool { return c.Problem == nil })
}

func placeOf(t Template) place {
	kind := "WorkflowTemplate"
	if _, isCluster := t.(*wfv1.ClusterWorkflowTemplate); isCluster {
		kind = "ClusterWorkflowTemplate"
	}
	return place{kind: kind, namespace: t.GetNamespace(), action: t.GetLabels()[wfev1.LabelAction]}
}
