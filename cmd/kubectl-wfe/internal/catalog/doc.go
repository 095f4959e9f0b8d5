// Package catalog collects the actions that executions can name: the built-in actions, those in a folder of manifests, or
// those of a cluster. Like the controller, it leaves out invalid templates and actions that two templates claim, and
// reports why.
package catalog
