package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

const (
	// fieldManager owns the fields that this program sets by server-side apply.
	fieldManager = "workflowexecution-action"
	// maxUndoPatch bounds the patch that undoes a change. The patch is an output and is recorded on the object.
	maxUndoPatch = 16 << 10
	typeApply    = "apply"
	typeJSON     = "json"
)

func patchResource() contract.Action {
	return contract.Action{
		Name: "patch-resource",
		Summary: "Patches an object of any kind except Secret, in the step's namespace if the kind is namespaced, " +
			"and outputs the JSON merge patch that reverts the change.",
		Undo: "patch-resource of type merge with patch from previous-patch",
		Parameters: []contract.Parameter{
			{Name: "api-version", Description: "The API version of the object, like apps/v1.", Required: true, Check: apiVersion},
			{Name: "kind", Description: "The kind of the object, like Deployment.", Required: true},
			{Name: "name", Description: "The name of the object; it must exist.", Required: true, Check: contract.ObjectName},
			{
				Name: "type", Default: "merge", Enum: []string{"merge", "strategic", typeJSON, typeApply},
				Description: "The type of the patch: JSON merge patch, strategic merge patch, JSON patch, or server-side apply with force.",
			},
			{Name: "patch", Description: "The patch, as YAML or JSON.", Required: true, Base64: true, Check: yamlText},
			contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-patch", Description: "The JSON merge patch that reverts the change.", Base64: true},
		},
		Rules: []rbacv1.PolicyRule{}, AggregatedVerbs: []string{"get", "patch"},
		Run: runPatchResource,
	}
}

func apiVersion(value string) error {
	if gv, err := schema.ParseGroupVersion(value); err != nil || gv.Version == "" {
		return errors.New("must be an API version like apps/v1")
	}
	return nil
}

func yamlText(value string) error {
	_, err := yaml.YAMLToJSON([]byte(value))
	return err
}

// patching patches one object of any kind.
type patching struct {
	*contract.Step
	client     dynamic.ResourceInterface
	kind, name string
	patchType  types.PatchType
	patch      []byte
}

func runPatchResource(ctx context.Context, s *contract.Step) error {
	p, err := newPatching(s)
	if err != nil {
		return err
	}
	var undo string
	var changed bool
	err = s.Retry(ctx, "patching "+p.kind+" "+p.name, func(ctx context.Context) error {
		undo, changed, err = p.run(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return report(s, changed, map[string]string{"patch": undo})
}

// resolveObject returns the kind of the parameters and a client for it. It rejects Secrets, whose values would become
// outputs and messages.
func resolveObject(s *contract.Step) (schema.GroupVersionKind, dynamic.ResourceInterface, error) {
	gvk := schema.FromAPIVersionAndKind(s.String("api-version"), s.String("kind"))
	mapping, err := s.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return gvk, nil, contract.Impossible("the cluster has no kind %s in %s", gvk.Kind, s.String("api-version"))
	}
	if err != nil {
		return gvk, nil, fmt.Errorf("looking up kind %s: %w", gvk.Kind, err)
	}
	if mapping.Resource.GroupResource() == (schema.GroupResource{Resource: "secrets"}) {
		return gvk, nil, contract.Impossible("the parameter kind cannot be Secret, because outputs would contain its values; use update-secret to change one")
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return gvk, s.Dynamic.Resource(mapping.Resource).Namespace(s.Namespace), nil
	}
	return gvk, s.Dynamic.Resource(mapping.Resource), nil
}

func newPatching(s *contract.Step) (*patching, error) {
	gvk, client, err := resolveObject(s)
	if err != nil {
		return nil, err
	}
	p := &patching{Step: s, kind: gvk.Kind, name: s.String("name"), client: client}
	p.patchType = map[string]types.PatchType{
		"merge": types.MergePatchType, "strategic": types.StrategicMergePatchType,
		typeJSON: types.JSONPatchType, typeApply: types.ApplyPatchType,
	}[s.String("type")]
	p.patch, err = yaml.YAMLToJSON([]byte(s.String("patch")))
	if err == nil && p.patchType == types.ApplyPatchType {
		p.patch, err = withTypeAndName(p.patch, gvk, p.name)
	}
	if err != nil {
		return nil, contract.Invalid("parameter patch: %w", err)
	}
	return p, nil
}

// withTypeAndName adds the fields that server-side apply requires in every patch.
func withTypeAndName(patch []byte, gvk schema.GroupVersionKind, name string) ([]byte, error) {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if err := json.Unmarshal(patch, &object.Object); err != nil {
		return nil, err
	}
	object.SetGroupVersionKind(gvk)
	object.SetName(name)
	return json.Marshal(object.Object)
}

// run reads the object, computes the result with a server-side dry run, and writes the difference together with the record
// of the patch that reverts it. A patch of any type is therefore written once, and only to the object that was read.
func (p *patching) run(ctx context.Context) (undo string, changed bool, err error) {
	found, err := p.client.Get(ctx, p.name, metav1.GetOptions{})
	if err != nil {
		return "", false, fmt.Errorf("reading %s %s: %w", p.kind, p.name, err)
	}
	recorded, again := p.Recorded(found)
	if again && p.patchType == types.JSONPatchType {
		// A JSON patch that adds to a list would add the item a second time.
		p.Log.Info("nothing to change", "kind", p.kind, "name", p.name, "doneBefore", true)
		return recorded["patch"], true, nil
	}
	result, err := p.client.Patch(ctx, p.name, p.patchType, p.patch, p.options([]string{metav1.DryRunAll}))
	if err != nil {
		return "", false, fmt.Errorf("patching %s %s: %w", p.kind, p.name, err)
	}
	forward, err := difference(found, result)
	if err != nil {
		return "", false, err
	}
	backward, err := difference(result, found)
	if err != nil {
		return "", false, err
	}
	undo = string(backward)
	if again {
		undo = recorded["patch"]
	}
	switch {
	case string(forward) == "{}":
		p.Log.Info("nothing to change", "kind", p.kind, "name", p.name, "doneBefore", again)
		return undo, again, nil
	case len(backward) > maxUndoPatch:
		return "", false, contract.Impossible("the patch that reverts this change has %d bytes, more than the maximum of %d; split the change into several steps", len(backward), maxUndoPatch)
	}
	return undo, true, p.write(ctx, found, forward, undo)
}

func (p *patching) options(dryRun []string) metav1.PatchOptions {
	opts := metav1.PatchOptions{DryRun: dryRun, FieldManager: fieldManager}
	if p.patchType == types.ApplyPatchType {
		opts.Force = ptr.To(true)
	}
	return opts
}

// write makes the change. A server-side apply is recorded first and then sent as such, so that it owns its fields.
func (p *patching) write(ctx context.Context, found *unstructured.Unstructured, forward []byte, undo string) error {
	annotations, err := p.RecordAnnotation(found, map[string]string{"patch": undo})
	if err != nil {
		return err
	}
	body := map[string]any{}
	if p.patchType != types.ApplyPatchType {
		if err := json.Unmarshal(forward, &body); err != nil {
			return fmt.Errorf("reading the difference: %w", err)
		}
	}
	locked := &unstructured.Unstructured{Object: body}
	locked.SetResourceVersion(found.GetResourceVersion())
	for key, value := range annotations {
		if err := unstructured.SetNestedField(body, value, "metadata", "annotations", key); err != nil {
			return fmt.Errorf("recording: %w", err)
		}
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	opts := metav1.PatchOptions{DryRun: p.DryRunOption(), FieldManager: fieldManager}
	written, err := p.client.Patch(ctx, p.name, types.MergePatchType, content, opts)
	if err != nil {
		return fmt.Errorf("patching %s %s: %w", p.kind, p.name, err)
	}
	if p.patchType == types.ApplyPatchType {
		if written, err = p.client.Patch(ctx, p.name, p.patchType, p.patch, p.options(p.DryRunOption())); err != nil {
			return fmt.Errorf("applying to %s %s: %w", p.kind, p.name, err)
		}
	}
	p.Log.Info("patched", "kind", p.kind, "name", p.name, "type", p.String("type"), "dryRun", p.DryRun)
	if p.DryRun {
		return nil
	}
	// An admission webhook can change the object before it is stored.
	remains, err := difference(found, written)
	if err == nil && string(remains) == "{}" {
		err = takenBack(p.kind, written, firstField(forward))
	}
	return err
}

// firstField returns the path of the first field of a JSON merge patch.
func firstField(patch []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(patch, &fields) != nil || len(fields) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(fields)))
	return append([]string{first}, firstField(fields[first])...)
}

// difference builds the JSON merge patch from one state of an object to another, without fields that the server sets.
func difference(from, to *unstructured.Unstructured) ([]byte, error) {
	a, err := withoutServerFields(from)
	if err != nil {
		return nil, err
	}
	b, err := withoutServerFields(to)
	if err != nil {
		return nil, err
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(a, b, a)
	if err != nil {
		return nil, fmt.Errorf("comparing: %w", err)
	}
	return patch, nil
}

func withoutServerFields(object *unstructured.Unstructured) ([]byte, error) {
	o := object.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "metadata", "annotations", contract.AnnotationLastActions)
	if len(o.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations")
	}
	unstructured.RemoveNestedField(o.Object, "status")
	return json.Marshal(o.Object)
}
