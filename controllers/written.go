package controllers

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// written remembers the resourceVersion of our last write on each object of a kind, until the cache shows it: what an object
// asks for is not decided by a copy that is older than our own answer. A copy of one that had the name before counts as older.
type written struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]string
}

func (w *written) note(object metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]string{}
	}
	w.versions[nameOf(object)] = object.GetResourceVersion()
}

// isBehind reports whether a copy is older than our last write. Resource versions that cannot be compared are never behind.
func (w *written) isBehind(object metav1.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := nameOf(object)
	last, known := w.versions[name]
	if !known {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), last); err == nil && order < 0 {
		return true
	}
	delete(w.versions, name)
	return false
}

// forget drops what is remembered of an object that is gone.
func (w *written) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}

func nameOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
