// Package testutil connects the end-to-end suite and the demo to a cluster: manifests of this repository are applied as
// a user would, and the controller's protected metrics are read as a scraper would. It knows no test.
package testutil
