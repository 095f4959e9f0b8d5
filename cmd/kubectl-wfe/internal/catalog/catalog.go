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
	// Problems tell of templates that claim to be an action and are not used.
	Problems []string
}

// build makes a catalog of templates by the rules of the controller.
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

// Actions are the actions as the translator takes them.
func (c *Catalog) Actions() translate.Catalog {
	actions := make(translate.Catalog, len(c.Entries))
	for _, action := range c.Entries {
		actions[action.Name] = action
	}
	return actions
}

// Find is the action of this name, or nil.
func (c *Catalog) Find(name string) *translate.Action {
	return c.Actions()[name]
}

// Over is this catalog on top of another one: of two actions of one name it keeps its own.
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
