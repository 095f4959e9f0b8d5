// Package page writes the pages of kubectl wfe dashboard: the list of executions, and one execution with what to do
// next, its timeline and its graph. It is pure, it escapes all that it shows, and what it writes needs neither inline
// scripts nor inline styles.
package page
