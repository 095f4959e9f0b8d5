package controllers

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// written remembers the resourceVersion of our last write on each Workflow, until the cache shows it: what a Workflow
// asks for is not decided by a copy that is older than our own answer.
type written struct {
	mu       sync.Mutex
	versions map[types.UID]uint64
}

func (w *written) note(wf *wfv1.Workflow) {
	version, err := strconv.ParseUint(wf.ResourceVersion, 10, 64)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.UID]uint64{}
	}
	w.versions[wf.UID] = version
}

// isBehind reports whether the copy is older than our last write. Resource versions can be compared as numbers
// (KEP 5504); one that is none is never behind.
func (w *written) isBehind(wf *wfv1.Workflow) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, known := w.versions[wf.UID]
	if !known {
		return false
	}
	version, err := strconv.ParseUint(wf.ResourceVersion, 10, 64)
	if err == nil && version < last {
		return true
	}
	delete(w.versions, wf.UID)
	return false
}

// forget drops what is remembered of a Workflow that is gone.
func (w *written) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, uid)
}
