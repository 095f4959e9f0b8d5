package actions

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// awaitEffect waits for the effect of a change: the object still holds what the step requested, and finished passes for its
// present generation. It fails as soon as another client takes the change back. Every action that changes an object and
// waits uses it. details finds the cause when the wait fails; nil if there is nothing to find.
func awaitEffect[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, client lister[L], kind string, changed outcome[T], example T, finished check[T],
	details func(context.Context) string,
) error {
	return await(ctx, s, client, kind, changed.object.GetName(), example, func(found T) (verdict, error) {
		if isOlder(found, changed.object) {
			return verdict{missing: "the change was not received"}, nil
		}
		if err := changed.held(found); err != nil {
			return verdict{}, err
		}
		return finished(found)
	}, details)
}

// isOlder reports whether a watch delivered a state from before the change, which a cache of the API server can do.
func isOlder(found, changed metav1.Object) bool {
	a, err := strconv.ParseUint(found.GetResourceVersion(), 10, 64)
	if err != nil {
		return false
	}
	b, err := strconv.ParseUint(changed.GetResourceVersion(), 10, 64)
	return err == nil && a < b
}

// takenBack is the failure of a step whose change another client has reverted.
func takenBack(kind string, found metav1.Object, field []string) error {
	manager := "an unknown field manager"
	if name := managerOf(found, field); name != "" {
		manager = "field manager " + name
	}
	return contract.Impossible(
		"%s %s does not hold what the step requested: %s was changed by %s; change it there, or stop that manager first",
		kind, found.GetName(), strings.Join(field, "."), manager)
}

// managerOf returns the field manager that last wrote a field, or the nearest parent of the field that has a manager. It
// ignores this program and the writers of the status.
func managerOf(found metav1.Object, field []string) string {
	var best metav1.ManagedFieldsEntry
	depth := 0
	for _, entry := range found.GetManagedFields() {
		if entry.Manager == fieldManager || entry.Subresource == "status" || entry.FieldsV1 == nil {
			continue
		}
		d := ownedDepth(entry.FieldsV1.GetRawBytes(), field)
		if d > depth || d == depth && d > 0 && best.Time.Before(entry.Time) {
			best, depth = entry, d
		}
	}
	return best.Manager
}

// ownedDepth returns how many elements of a path a set of managed fields contains.
func ownedDepth(raw []byte, field []string) int {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return 0
	}
	if len(field) == 0 {
		return 0
	}
	if next, ok := fields["f:"+field[0]]; ok {
		return 1 + ownedDepth(next, field[1:])
	}
	depth := 0
	for key, next := range fields {
		if strings.HasPrefix(key, "k:") {
			depth = max(depth, ownedDepth(next, field))
		}
	}
	return depth
}
