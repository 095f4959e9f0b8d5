// Package catalog reads the Argo templates that are actions.
//
// In: the names of actions, and the namespace of the execution that calls them. Out: the actions as package translate
// reads them; the names of all actions, and how many templates are labelled as actions and invalid; and an Event on each
// of those. It owns nothing: the templates are in the manager's cache and are validated again at each read. It never changes
// a template.
package catalog
