// Package faults breaks what the shipped manager stands on: its process, its lease, the API server, etcd, and Argo's
// kinds. README.md lists all promises of reliability, and the tests elsewhere that try to break the others.
package faults
