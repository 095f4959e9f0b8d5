package actions

import (
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

var widgets = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}

func widget() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "w", "namespace": namespace, "uid": "uid-of-w", "labels": map[string]any{"app": "w"}},
		"spec":     map[string]any{"size": int64(1), "tags": []any{"a"}, "color": "red"},
	}}
}

// hasWidgets adds a custom kind to the cluster, and implements dry runs of patches as an API server does.
func (f *fixture) hasWidgets() *dynamicfake.FakeDynamicClient {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, map[schema.GroupVersionResource]string{widgets: "WidgetList"}, widget())
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}, meta.RESTScopeNamespace)
	f.clients.Dynamic, f.clients.Mapper = client, mapper
	var busy sync.Mutex
	client.PrependReactor("patch", "widgets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if !isDryRun(action) {
			return false, nil, nil
		}
		busy.Lock()
		defer busy.Unlock()
		p := action.(clienttesting.PatchActionImpl)
		before, err := client.Tracker().Get(widgets, namespace, p.Name)
		if err != nil {
			return true, nil, err
		}
		before = before.DeepCopyObject()
		_, after, err := clienttesting.ObjectReaction(client.Tracker())(action)
		if err != nil {
			return true, nil, err
		}
		after = after.DeepCopyObject()
		return true, after, client.Tracker().Update(widgets, before, namespace)
	})
	return client
}

func TestPatchResource(t *testing.T) {
	t.Parallel()
	target := map[string]string{"api-version": "example.com/v1", "kind": "Widget", "name": "w"}
	before := map[string]any{"size": int64(1), "tags": []any{"a"}, "color": "red"}
	cases := map[string]struct {
		reason     string
		parameters map[string]string
		prepare    func(*dynamicfake.FakeDynamicClient)
		spec       map[string]any
		undo       string
		changed    string
		fails      *result
	}{
		"Merge": {
			reason: "written once, and the rollback reverts exactly that", parameters: with(target, "patch", encode("spec:\n  size: 2\n  color: null\n  new: yes it is\n")),
			spec: map[string]any{"size": int64(2), "tags": []any{"a"}, "new": "yes it is"}, undo: `{"spec":{"color":"red","new":null,"size":1}}`, changed: "true",
		},
		"JSONPatch": {
			reason: "a retry must not add to the list a second time", parameters: with(target, "type", "json", "patch", encode(`[{"op":"add","path":"/spec/tags/-","value":"b"}]`)),
			spec: map[string]any{"size": int64(1), "tags": []any{"a", "b"}, "color": "red"}, undo: `{"spec":{"tags":["a"]}}`, changed: "true",
		},
		"Same": {
			reason: "nothing to change", parameters: with(target, "patch", encode(`{"spec":{"size":1}}`)), spec: before, undo: "{}", changed: "false",
		},
		"NotFound": {
			reason: "the message names the object", parameters: with(target, "name", "other", "patch", encode("{}")), spec: before,
			fails: &result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
		"NoSuchKind": {
			reason: "the message names the kind", parameters: with(target, "kind", "Gadget", "patch", encode("{}")), spec: before,
			fails: &result{Exit: 64, Reason: "ActionFailed", Message: "no kind Gadget in example.com/v1"},
		},
		"NoYAML": {
			reason: "rejected before any request to the API server", parameters: with(target, "patch", encode("a: [")), spec: before,
			fails: &result{Exit: 64, Reason: "InvalidSpec", Message: "parameter patch"},
		},
		"Forbidden": {
			reason: "the message names the role", parameters: with(target, "patch", encode("{}")), spec: before,
			prepare: func(c *dynamicfake.FakeDynamicClient) {
				c.PrependReactor("get", "widgets", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewForbidden(widgets.GroupResource(), "w", errors.New("cannot get"))
				})
			},
			fails: &result{Exit: 64, Reason: "Forbidden", Message: "workflowexecution-action-patch-resource"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			client := f.hasWidgets()
			if c.prepare != nil {
				c.prepare(client)
			}
			compare := func(what string, want map[string]any) {
				t.Helper()
				found, err := client.Tracker().Get(widgets, namespace, "w")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, found.(*unstructured.Unstructured).Object["spec"]); diff != "" {
					t.Errorf("%s\n%s (-want +got):\n%s", c.reason, what, diff)
				}
			}
			dry := f.attempt(run{action: "patch-resource", parameters: with(c.parameters, "dry-run", "true")})
			compare("after a dry run", before)
			got := f.attempt(run{action: "patch-resource", parameters: c.parameters})
			compare("after the patch", c.spec)
			if c.fails != nil {
				c.fails.check(t, c.reason, got)
				return
			}
			want := result{Outputs: map[string]string{"changed": c.changed, "previous-patch": base64.StdEncoding.EncodeToString([]byte(c.undo))}}
			want.check(t, c.reason, got)
			want.check(t, c.reason+", dry", dry)
			want.check(t, c.reason+", again", f.attempt(run{action: "patch-resource", parameters: c.parameters}))
			compare("after a retry", c.spec)
			undo := f.attempt(run{action: "patch-resource", workflow: "rollback", parameters: with(target, "patch", got.Outputs["previous-patch"])})
			if undo.Exit != 0 {
				t.Fatalf("%s\nundo: %+v", c.reason, undo)
			}
			compare("after undo", before)
		})
	}
}

// TestPatchResourceApplies verifies the requests, because the fake client does not implement server-side apply here.
func TestPatchResourceApplies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client := f.hasWidgets()
	var applied []metav1.PatchOptions
	client.PrependReactor("patch", "widgets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		p := action.(clienttesting.PatchActionImpl)
		if p.PatchType != types.ApplyPatchType {
			return false, nil, nil
		}
		applied = append(applied, p.PatchOptions)
		after := widget()
		return true, after, unstructured.SetNestedField(after.Object, int64(3), "spec", "size")
	})
	got := f.attempt(run{action: "patch-resource", parameters: map[string]string{
		"api-version": "example.com/v1", "kind": "Widget", "name": "w", "type": "apply", "patch": encode("spec: {size: 3}"),
	}})
	result{Outputs: map[string]string{"changed": "true", "previous-patch": encode(`{"spec":{"size":1}}`)}}.check(t, "undo is a merge patch", got)
	if len(applied) != 2 || !slices.Equal(applied[0].DryRun, []string{metav1.DryRunAll}) || applied[1].DryRun != nil ||
		applied[1].Force == nil || !*applied[1].Force || applied[1].FieldManager != fieldManager {
		t.Errorf("a dry run, then an apply with force by the action's field manager: %+v", applied)
	}
	found, err := client.Tracker().Get(widgets, namespace, "w")
	if err != nil {
		t.Fatal(err)
	}
	if found.(*unstructured.Unstructured).GetAnnotations()[contract.AnnotationLastActions] == "" {
		t.Error("the record is written before the apply")
	}
}
