// Package page renders the pages of kubectl wfe dashboard: the list of executions, and one execution with its next
// commands, its timeline and its graph. It is pure, it escapes every value, and its pages contain no inline scripts or
// styles.
package page
