package catalog

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// The kinds of Argo's templates that can be actions.
const (
	namespacedKind = "WorkflowTemplate"
	clusterKind    = "ClusterWorkflowTemplate"
)

// summaryAnnotation is where Argo's UI, and so the built-in actions, keep a template's description.
const summaryAnnotation = "workflows.argoproj.io/description"

// Entry is an action and what it says about itself.
type Entry struct {
	*translate.Action
	Summary string
}

// Catalog is a set of actions.
type Catalog struct {
	// Entries are the actions, sorted by name.
	Entries []Entry
	// Problems tell of templates that claim to be an action and are not used.
	Problems []string
}

// Actions are the actions as the translator takes them.
func (c *Catalog) Actions() translate.Catalog {
	actions := make(translate.Catalog, len(c.Entries))
	for _, entry := range c.Entries {
		actions[entry.Name] = entry.Action
	}
	return actions
}

// Find is the entry of this name, or nil.
func (c *Catalog) Find(name string) *Entry {
	for i := range c.Entries {
		if c.Entries[i].Name == name {
			return &c.Entries[i]
		}
	}
	return nil
}

// Over is this catalog on top of another one: of two actions of one name it keeps its own.
func (c *Catalog) Over(base *Catalog) *Catalog {
	merged := &Catalog{Entries: slices.Clone(c.Entries), Problems: append(slices.Clone(base.Problems), c.Problems...)}
	for _, entry := range base.Entries {
		if c.Find(entry.Name) == nil {
			merged.Entries = append(merged.Entries, entry)
		}
	}
	merged.sort()
	return merged
}

func (c *Catalog) sort() {
	slices.SortFunc(c.Entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

// template is what the two kinds of templates have in common.
type template struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              wfv1.WorkflowSpec `json:"spec"`
}

func newTemplate(kind string, meta metav1.ObjectMeta, spec wfv1.WorkflowSpec) template {
	return template{TypeMeta: metav1.TypeMeta{Kind: kind}, ObjectMeta: meta, Spec: spec}
}

// build makes a catalog of templates. A namespaced template wins over one of the cluster, as in the controller; of two
// of the same kind neither is used.
func build(templates []template) *Catalog {
	claims := map[string][]template{}
	for _, t := range templates {
		if name := t.Labels[wfev1.LabelAction]; name != "" {
			claims[name] = append(claims[name], t)
		}
	}
	c := &Catalog{}
	for name, all := range claims {
		if slices.ContainsFunc(all, isNamespaced) {
			all = slices.DeleteFunc(all, func(t template) bool { return !isNamespaced(t) })
		}
		if len(all) > 1 {
			c.Problems = append(c.Problems, fmt.Sprintf("action %q is claimed by %d templates of kind %s, so none is used", name, len(all), all[0].Kind))
			continue
		}
		action, err := translate.NewAction(all[0].Kind, all[0].ObjectMeta, &all[0].Spec)
		if err != nil {
			c.Problems = append(c.Problems, err.Error())
			continue
		}
		c.Entries = append(c.Entries, Entry{Action: action, Summary: all[0].Annotations[summaryAnnotation]})
	}
	c.sort()
	slices.Sort(c.Problems)
	return c
}

func isNamespaced(t template) bool { return t.Kind == namespacedKind }
