// Package page tests kubectl wfe dashboard in a real browser, while executions run.
package page
