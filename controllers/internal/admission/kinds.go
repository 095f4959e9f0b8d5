package admission

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// unknownFor is how long the result that the API server does not serve a kind is cached.
	unknownFor = 5 * time.Second
	// maxUnknown bounds how many such kinds are remembered: their names come from users.
	maxUnknown = 1000
)

// UnknownKindError says that the API server serves no kind of a target's name.
type UnknownKindError struct {
	Target wfev1.Target
	// Meant are the kinds of a similar name that the API server serves, as "apps/v1 Deployment".
	Meant []string
}

func (e *UnknownKindError) Error() string {
	message := fmt.Sprintf("the API server has no kind %s in %s", e.Target.Kind, e.Target.APIVersion)
	if len(e.Meant) > 0 {
		message += "; did you mean " + strings.Join(e.Meant, " or ") + "?"
	}
	return message
}

// kinds resolves whether a kind is namespaced. The version does not matter: it makes no target another object. No request
// is sent while the mutex is held.
type kinds struct {
	mapper meta.RESTMapper
	clock  clock.PassiveClock

	mu sync.Mutex
	// namespaced are the kinds that are served, and whether they are namespaced: the mapper's own mutex is held while it
	// discovers other kinds.
	namespaced map[schema.GroupKind]bool
	unknown    map[schema.GroupKind]unknownKind
}

// unknownKind is a kind that is not served, as far as is known until a time, and the similar ones.
type unknownKind struct {
	until time.Time
	meant []string
}

func newKinds(mapper meta.RESTMapper, clock clock.PassiveClock) *kinds {
	return &kinds{mapper: mapper, clock: clock, namespaced: map[schema.GroupKind]bool{}, unknown: map[schema.GroupKind]unknownKind{}}
}

// CheckTarget returns an *UnknownKindError when the API server serves no kind of the target's name.
func (g *Gate) CheckTarget(wfe *wfev1.WorkflowExecution) error {
	_, err := g.kinds.isNamespaced(&wfe.Spec.Target)
	return err
}

func (k *kinds) isNamespaced(target *wfev1.Target) (bool, error) {
	kind := groupKindOf(target)
	if namespaced, known := k.known(kind); known {
		return namespaced, nil
	}
	if meant, unknown := k.isUnknown(kind); unknown {
		return false, &UnknownKindError{Target: *target, Meant: meant}
	}
	mapping, err := k.mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		meant := k.meant(kind)
		k.noteUnknown(kind, meant)
		return false, &UnknownKindError{Target: *target, Meant: meant}
	}
	if err != nil {
		return false, fmt.Errorf("find out whether kind %s is namespaced: %w", kind, err)
	}
	namespaced := mapping.Scope.Name() != meta.RESTScopeNameRoot
	k.noteKnown(kind, namespaced)
	return namespaced, nil
}

// meant lists kinds that are served whose name differs from a kind's in case or group only.
func (k *kinds) meant(kind schema.GroupKind) []string {
	found, err := k.mapper.KindsFor(schema.GroupVersionResource{Resource: strings.ToLower(kind.Kind)})
	if err != nil {
		return nil
	}
	var names []string
	for _, similar := range found {
		names = append(names, similar.GroupVersion().String()+" "+similar.Kind)
	}
	return names
}

func (k *kinds) known(kind schema.GroupKind) (namespaced, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	namespaced, known = k.namespaced[kind]
	return namespaced, known
}

func (k *kinds) noteKnown(kind schema.GroupKind, namespaced bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.namespaced[kind] = namespaced
	delete(k.unknown, kind)
}

func (k *kinds) isUnknown(kind schema.GroupKind) ([]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.unknown[kind]
	return known.meant, k.clock.Now().Before(known.until)
}

func (k *kinds) noteUnknown(kind schema.GroupKind, meant []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.unknown) >= maxUnknown {
		clear(k.unknown)
	}
	k.unknown[kind] = unknownKind{until: k.clock.Now().Add(unknownFor), meant: meant}
}

func groupKindOf(target *wfev1.Target) schema.GroupKind {
	group, _, versioned := strings.Cut(target.APIVersion, "/")
	if !versioned {
		group = ""
	}
	return schema.GroupKind{Group: group, Kind: target.Kind}
}

// TargetKey is a target's group, kind and name.
func TargetKey(target *wfev1.Target) string {
	kind := groupKindOf(target)
	return strings.Join([]string{kind.Group, kind.Kind, target.Name}, "/")
}
