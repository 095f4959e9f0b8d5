// Package selectors says which objects the controller's caches hold, so that what is listed live and what is cached agree.
//
// In: nothing. Out: selectors of executions by phase, of Workflows and of templates. It owns nothing and reads nothing.
package selectors
