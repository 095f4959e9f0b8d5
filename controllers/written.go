package controllers

import (
	"strconv"
	"sync"
)

// written remembers the resourceVersion of our last write on each object, until the cache shows it: what an object asks
// for is not decided by a copy that is older than our own answer.
type written[key comparable] struct {
	mu       sync.Mutex
	versions map[key]uint64
}

func (w *written[key]) note(object key, resourceVersion string) {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[key]uint64{}
	}
	w.versions[object] = version
}

// isBehind reports whether a copy is older than our last write. Resource versions can be compared as numbers (KEP 5504);
// one that is none is never behind.
func (w *written[key]) isBehind(object key, resourceVersion string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, known := w.versions[object]
	if !known {
		return false
	}
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err == nil && version < last {
		return true
	}
	delete(w.versions, object)
	return false
}

// forget drops what is remembered of an object that is gone.
func (w *written[key]) forget(object key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, object)
}
