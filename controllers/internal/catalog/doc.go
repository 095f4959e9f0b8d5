// Package catalog reads the Argo templates that are actions.
//
// In: the names of actions, and the namespace of the execution that calls them. Out: the actions as package translate
// reads them; how many templates carry the label of an action and are none; and an event on each of those. It owns nothing:
// the templates are in the manager's cache, and what is invalid is judged anew each time. It never changes a template.
package catalog
