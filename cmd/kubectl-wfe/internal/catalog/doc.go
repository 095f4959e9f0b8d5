// Package catalog gathers the actions that executions can name: the built-in ones, those of a folder of manifests, or
// those of a cluster. Like the controller it leaves out what is broken or claimed twice, and tells why.
package catalog
