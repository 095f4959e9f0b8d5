package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// object is any typed API object.
type object interface {
	metav1.Object
	runtime.Object
}

// patcher is the part of a typed client that a change needs.
type patcher[T object] interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (T, error)
}

// edit is the change that an action plans for an object that it has just read.
type edit struct {
	// previous is the present state, which a rollback needs.
	previous map[string]string
	// patch is a strategic merge patch. It is nil when the object is already as requested, and empty when another request
	// makes the change and only the record is written here.
	patch map[string]any
	// field is the path of the field that the patch changes.
	field []string
	// annotations are set together with the patch.
	annotations map[string]string
	// message and attributes describe the change in the log.
	message    string
	attributes []any
}

// outcome is an object after an edit.
type outcome[T object] struct {
	object   T
	previous map[string]string
	changed  bool
	// held fails if an object no longer holds what the step requested.
	held func(T) error
}

// change reads an object, calls plan for an edit, and writes it together with the record of the previous state. The patch
// contains the resource version, so it applies only to the object that plan received. The argument again is true if this
// step has made its edit, in an earlier attempt or in this one; plan then returns a patch if the edit was taken back.
func change[T object](
	ctx context.Context, s *contract.Step, client patcher[T], kind, name string, plan func(object T, again bool) (edit, error),
) (outcome[T], error) {
	result, written, err := write(ctx, s, client, kind, name, plan)
	if err != nil {
		return result, err
	}
	if err := report(s, result.changed, result.previous); err != nil || !written {
		return result, err
	}
	// An admission webhook can change the object before it is stored.
	return result, result.held(result.object)
}

// write is change without outputs. It returns whether it has written a patch.
func write[T object](
	ctx context.Context, s *contract.Step, client patcher[T], kind, name string, plan func(object T, again bool) (edit, error),
) (result outcome[T], written bool, err error) {
	err = s.Retry(ctx, "changing "+kind+" "+name, func(ctx context.Context) error {
		found, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading %s %s: %w", kind, name, err)
		}
		recorded, again := s.Recorded(found)
		e, err := plan(found, again)
		if err != nil {
			return err
		}
		result = outcome[T]{object: found, previous: e.previous, changed: again || len(e.patch) > 0, held: func(now T) error {
			if e, err := plan(now, true); err != nil || len(e.patch) == 0 {
				return err
			}
			return takenBack(kind, now, e.field)
		}}
		if again {
			result.previous = recorded
		}
		if e.patch == nil {
			s.Log.Info("nothing to change", "kind", kind, "name", name, "doneBefore", again)
			return nil
		}
		patch, err := withRecord(s, found, e)
		if err != nil || patch == nil {
			return err
		}
		result.object, err = client.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{DryRun: s.DryRunOption()})
		if err != nil {
			return fmt.Errorf("changing %s %s: %w", kind, name, err)
		}
		s.Log.Info(e.message, append([]any{"kind", kind, "name", name, "dryRun", s.DryRun}, e.attributes...)...)
		written = !s.DryRun && len(e.patch) > 0
		return nil
	})
	return result, written, err
}

// report writes the outputs of a change.
func report(s *contract.Step, changed bool, previous map[string]string) error {
	if err := s.Previous(previous); err != nil {
		return err
	}
	return s.Changed(changed)
}

// withRecord builds the patch of an edit, with the record of this step and the optimistic lock. It returns nil when there
// is nothing to write: the step is recorded already, and another request makes the change.
func withRecord(s *contract.Step, found metav1.Object, e edit) ([]byte, error) {
	annotations, err := s.RecordAnnotation(found, e.previous)
	if err != nil {
		return nil, err
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, e.annotations)
	if len(annotations) == 0 && len(e.patch) == 0 {
		return nil, nil
	}
	metadata := map[string]any{"resourceVersion": found.GetResourceVersion(), "uid": found.GetUID()}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	body := map[string]any{"metadata": metadata}
	for field, value := range e.patch {
		body[field] = value
	}
	return json.Marshal(body)
}
