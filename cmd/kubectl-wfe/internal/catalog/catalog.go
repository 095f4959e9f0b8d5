package catalog

import (
	"cmp"
	"slices"

	"github.com/kubernaut-io/workflowexecution/translate"
)

// Catalog is a set of actions.
type Catalog struct {
	// Entries are the actions, sorted by name.
	Entries []*translate.Action
	// Problems are the reasons why templates with the action label are not used.
	Problems []string
}

// build applies the controller's rules to templates.
func build(templates []translate.Template) *Catalog {
	claims := translate.NewClaims(templates)
	c := &Catalog{}
	for _, action := range translate.NewCatalog(claims) {
		c.Entries = append(c.Entries, action)
	}
	c.sort()
	for _, broken := range translate.Broken(claims) {
		c.Problems = append(c.Problems, broken.Problem.Error())
	}
	slices.Sort(c.Problems)
	return c
}

// Actions returns the actions in the form that package translate takes.
func (c *Catalog) Actions() translate.Catalog {
	actions := make(translate.Catalog, len(c.Entries))
	for _, action := range c.Entries {
		actions[action.Name] = action
	}
	return actions
}

// Find returns the action of this name, or nil.
func (c *Catalog) Find(name string) *translate.Action {
	return c.Actions()[name]
}

// Over merges this catalog with a base. Its own actions win over those of the same name in the base.
func (c *Catalog) Over(base *Catalog) *Catalog {
	merged := &Catalog{Entries: slices.Clone(c.Entries), Problems: append(slices.Clone(base.Problems), c.Problems...)}
	for _, action := range base.Entries {
		if c.Find(action.Name) == nil {
			merged.Entries = append(merged.Entries, action)
		}
	}
	merged.sort()
	return merged
}

func (c *Catalog) sort() {
	slices.SortFunc(c.Entries, func(a, b *translate.Action) int { return cmp.Compare(a.Name, b.Name) })
}
