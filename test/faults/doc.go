// Package faults tests the shipped manager while its environment fails: its process, its lease, the API server, etcd, and
// Argo's CustomResourceDefinitions. README.md lists all promises of reliability and the tests in other packages.
package faults
