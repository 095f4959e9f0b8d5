// Package manifest writes what the catalog needs of each built-in action: the template that makes it an action, the role
// that lets it work, and the tables of both, from the declaration of the action itself. So the binary and its manifests
// cannot disagree. It does no I/O.
package manifest
