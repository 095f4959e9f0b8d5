package main

import (
	"slices"
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/controlplane"
)

// writes is what the controller wrote since the last call, leases apart.
func (p *plane) writes() ([]controlplane.Request, error) {
	requests, err := p.Requests()
	return slices.DeleteFunc(requests, func(r controlplane.Request) bool {
		return slices.Contains([]string{"get", "list", "watch"}, r.Verb) || r.ObjectRef.Resource == "leases"
	}), err
}

// isAsked reports whether a write is a question, or an event.
func isAsked(w *controlplane.Request) bool {
	return strings.HasSuffix(w.ObjectRef.Resource, "subjectaccessreviews") || w.ObjectRef.Resource == "events"
}
