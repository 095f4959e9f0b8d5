package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// written remembers the resourceVersion of our last write on each object, until the cache shows it: what an object asks
// for is not decided by a copy that is older than our own answer.
type written[key comparable] struct {
	mu       sync.Mutex
	versions map[key]string
}

func (w *written[key]) note(object key, resourceVersion string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[key]string{}
	}
	w.versions[object] = resourceVersion
}

// isBehind reports whether a copy is older than our last write. Resource versions that cannot be compared are never behind.
func (w *written[key]) isBehind(object key, resourceVersion string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, known := w.versions[object]
	if !known {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(resourceVersion, last); err == nil && order < 0 {
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
