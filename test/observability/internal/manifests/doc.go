// Package manifests reads the rules and the dashboard from the repository's folder config, as the tests need them, and
// knows which metrics an expression uses. It refuses what it does not understand, so that nothing goes untested.
package manifests
