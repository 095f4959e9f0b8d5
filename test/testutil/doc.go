// Package testutil connects test suites and the demo to a cluster. It applies the manifests of this repository as a user does, and reads
// the protected metrics of the controller as a scraper does. It contains no test.
package testutil
