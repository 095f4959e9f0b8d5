package staleness

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Writes remembers the resourceVersion of the last write on each object of one kind until the cache shows it. The zero
// value is empty. It is safe for concurrent use.
type Writes struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]string
}

// WroteAt records a write, by the object as the API server returned it.
func (w *Writes) WroteAt(object metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]string{}
	}
	w.versions[nameOf(object)] = object.GetResourceVersion()
}

// IsStale reports whether a copy is older than the last write. A copy of an earlier object of the same name is stale
// too. A resource version that cannot be compared is never stale.
func (w *Writes) IsStale(object metav1.Object) bool {
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

// Clear forgets an object that no longer exists.
func (w *Writes) Clear(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}

// Len is how many objects are remembered.
func (w *Writes) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.versions)
}

func nameOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
