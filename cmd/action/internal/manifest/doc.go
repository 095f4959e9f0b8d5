// Package manifest generates the manifests of the built-in actions from their declarations: templates, roles and the
// tables of the README. The binary and its manifests can therefore not disagree. It does no I/O.
package manifest
