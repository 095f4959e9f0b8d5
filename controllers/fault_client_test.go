package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// call is one call of the controller to its client. Events are not calls.
type call struct {
	// verb is get, list, create, update, patch or delete.
	verb string
	// kind is the kind of the object, with the subresource after a slash.
	kind string
	key  types.NamespacedName
	// live is true for a read from the API server instead of the cache.
	live bool
	// body is the body of a patch or of a status update.
	body string
	// owner is the UID of the owner of a created object.
	owner types.UID
	// err is the real result of the call. A fault may return another one.
	err error
}

func (c call) String() string { return c.verb + " " + c.kind }

func (c call) isRead() bool { return c.verb == "get" || c.verb == "list" }

// fault replaces a call of the controller. It may make the call with proceed, and returns the result that the controller receives.
// All calls pass through faults, so a spec can stop the controller before or after any of them.
type fault func(c call, proceed func() error) error

// faultClient records the calls of the controller and injects faults. Recorded calls are read only while no call is running, so
// that a call whose effect is visible is recorded.
type faultClient struct {
	mu       sync.Mutex
	idle     *sync.Cond
	running  int
	recorded []call
	faults   []fault
	// log receives the writes.
	log io.Writer
}

func newFaultClient() *faultClient {
	fc := &faultClient{log: GinkgoWriter}
	fc.idle = sync.NewCond(&fc.mu)
	return fc
}

// recordedCalls are the calls until now. The caller must hold the lock.
func (fc *faultClient) recordedCalls() []call {
	for fc.running > 0 {
		fc.idle.Wait()
	}
	return fc.recorded
}

// inject injects a fault into the calls that match, until removeFaults.
func (fc *faultClient) inject(matches func(call) bool, f fault) {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	fc.faults = append(fc.faults, func(c call, proceed func() error) error {
		if !matches(c) {
			return proceed()
		}
		return f(c, proceed)
	})
}

// injectOnce injects a fault into the first call with this verb and kind in the spec's namespace.
func (fc *faultClient) injectOnce(name string, f fault) {
	namespace := ns
	var once sync.Once
	fc.inject(func(c call) bool {
		first := false
		if c.String() == name && c.key.Namespace == namespace {
			once.Do(func() { first = true })
		}
		return first
	}, f)
}

// removeFaults removes all faults.
func (fc *faultClient) removeFaults() {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	fc.faults = nil
}

// reset forgets the recorded calls.
func (fc *faultClient) reset() {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	fc.recorded = nil
}

func (fc *faultClient) run(c call, do func() error) error {
	fc.mu.Lock()
	faults := fc.faults
	fc.mu.Unlock()
	proceed := func() error {
		fc.mu.Lock()
		fc.running++
		fc.mu.Unlock()
		c.err = do()
		fc.mu.Lock()
		defer fc.mu.Unlock()
		fc.recorded = append(fc.recorded, c)
		fc.running--
		fc.idle.Broadcast()
		if !c.isRead() {
			fmt.Fprintf(fc.log, "the controller: %s %s %s: %v\n", c, c.key, c.body, c.err)
		}
		return c.err
	}
	for _, f := range faults {
		inner := proceed
		proceed = func() error { return f(c, inner) }
	}
	return proceed()
}

// count is the number of calls that match.
func (fc *faultClient) count(matches func(call) bool) int {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	n := 0
	for _, c := range fc.recordedCalls() {
		if matches(c) {
			n++
		}
	}
	return n
}

// reconciles is the number of reconciles of an execution.
func (fc *faultClient) reconciles(wfe *wfev1.WorkflowExecution) int {
	key := client.ObjectKeyFromObject(wfe)
	return fc.count(func(c call) bool { return !c.live && c.key == key && c.String() == "get "+wfev1.Kind })
}

// reconciled are the names of the reconciled executions in the spec's namespace, in the order of their first reconcile.
func (fc *faultClient) reconciled() []string {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	var names []string
	for _, c := range fc.recordedCalls() {
		if !c.live && c.key.Namespace == ns && c.String() == "get "+wfev1.Kind && !slices.Contains(names, c.key.Name) {
			names = append(names, c.key.Name)
		}
	}
	return names
}

// liveReads is the number of reads from the API server.
func (fc *faultClient) liveReads() int { return fc.count(func(c call) bool { return c.live }) }

// writes are the writes that reached the API server for objects of a name in the spec's namespace.
func (fc *faultClient) writes(name string) []call {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	var writes []call
	for _, c := range fc.recordedCalls() {
		if !c.isRead() && c.key.Namespace == ns && c.key.Name == name && c.err == nil {
			writes = append(writes, c)
		}
	}
	return writes
}

// writeNames are the verbs and kinds of the writes.
func (fc *faultClient) writeNames(name string) []string {
	names := []string{}
	for _, c := range fc.writes(name) {
		names = append(names, c.String())
	}
	return names
}

// creations is the number of created Workflows of each owner and name.
func (fc *faultClient) creations() map[string]int {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	created := map[string]int{}
	for _, c := range fc.recordedCalls() {
		if c.String() == "create Workflow" && c.err == nil {
			created[c.key.Name+" of "+string(c.owner)]++
		}
	}
	return created
}

// wrap wraps a client.
func (fc *faultClient) wrap(c client.WithWatch, live bool) client.WithWatch {
	record := func(verb string, object client.Object, sub string) call {
		recorded := call{verb: verb, kind: kindOf(object, sub), key: client.ObjectKeyFromObject(object), live: live}
		if owners := object.GetOwnerReferences(); len(owners) > 0 {
			recorded.owner = owners[0].UID
		}
		return recorded
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			recorded := call{verb: "get", kind: kindOf(object, ""), key: key, live: live}
			return fc.run(recorded, func() error { return c.Get(ctx, key, object, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			recorded := call{verb: "list", kind: fmt.Sprintf("%T", list), live: live}
			return fc.run(recorded, func() error { return c.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return fc.run(record("create", object, ""), func() error { return c.Create(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return fc.run(record("delete", object, ""), func() error { return c.Delete(ctx, object, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			return fc.run(record("update", object, ""), func() error { return c.Update(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			recorded := record("patch", object, "")
			recorded.body = patchOf(patch, object)
			return fc.run(recorded, func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			recorded := record("patch", object, "/"+sub)
			recorded.body = patchOf(patch, object)
			return fc.run(recorded, func() error { return c.SubResource(sub).Patch(ctx, object, patch, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			recorded := record("update", object, "/"+sub)
			recorded.body = bodyOf(object)
			return fc.run(recorded, func() error { return c.SubResource(sub).Update(ctx, object, opts...) })
		},
	})
}

func kindOf(object client.Object, sub string) string {
	gvk, err := apiutil.GVKForObject(object, scheme)
	Expect(err).NotTo(HaveOccurred())
	return gvk.Kind + sub
}

func patchOf(patch client.Patch, object client.Object) string {
	body, err := patch.Data(object)
	Expect(err).NotTo(HaveOccurred())
	return string(body)
}

func bodyOf(object client.Object) string {
	body, err := json.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	return string(body)
}
