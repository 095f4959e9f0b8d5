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

// call is one call of the controller to its client. Events go another way and are not among them.
type call struct {
	// verb is get, list, create, update, patch or delete.
	verb string
	// kind is the object's kind, with the subresource behind a slash.
	kind string
	key  types.NamespacedName
	// live is true where a read went to the API server and not to the cache.
	live bool
	// body is what a patch or an update of a status says.
	body string
	// owner is the UID of the owner of what is created.
	owner types.UID
	// err is how the call really ended, whatever the controller was told.
	err error
}

func (c call) String() string { return c.verb + " " + c.kind }

func (c call) isRead() bool { return c.verb == "get" || c.verb == "list" }

// fault stands between the controller and the API server for the calls that it is meant for: it may call through or
// not, and tells the controller what it likes. This is the one door through which all calls go, so a spec can stop the
// controller before or after any of them.
type fault func(c call, through func() error) error

// wire notes the calls of the controller and puts faults in their way. Whoever has seen what a call did finds the call
// in the notes: they are not read while a call is under way.
type wire struct {
	mu       sync.Mutex
	idle     *sync.Cond
	underway int
	noted    []call
	faults   []fault
	// log is where the writes are told.
	log io.Writer
}

func newWire() *wire {
	w := &wire{log: GinkgoWriter}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// notes are the calls until now; the lock must be held.
func (w *wire) notes() []call {
	for w.underway > 0 {
		w.idle.Wait()
	}
	return w.noted
}

// breakAt puts a fault in the way of the calls that match, until heal.
func (w *wire) breakAt(matches func(call) bool, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, func(c call, through func() error) error {
		if !matches(c) {
			return through()
		}
		return f(c, through)
	})
}

// breakOnce puts a fault in the way of the first call that matches, as call.String writes it, in the spec's namespace.
func (w *wire) breakOnce(name string, f fault) {
	namespace := ns
	var once sync.Once
	w.breakAt(func(c call) bool {
		first := false
		if c.String() == name && c.key.Namespace == namespace {
			once.Do(func() { first = true })
		}
		return first
	}, f)
}

// heal takes all faults away.
func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// forget starts the notes anew.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = nil
}

func (w *wire) pass(c call, do func() error) error {
	w.mu.Lock()
	faults := w.faults
	w.mu.Unlock()
	through := func() error {
		w.mu.Lock()
		w.underway++
		w.mu.Unlock()
		c.err = do()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.noted = append(w.noted, c)
		w.underway--
		w.idle.Broadcast()
		if !c.isRead() {
			fmt.Fprintf(w.log, "the controller: %s %s %s: %v\n", c, c.key, c.body, c.err)
		}
		return c.err
	}
	for _, f := range faults {
		inner := through
		through = func() error { return f(c, inner) }
	}
	return through()
}

// count is how many calls match.
func (w *wire) count(matches func(call) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.notes() {
		if matches(c) {
			n++
		}
	}
	return n
}

// looks is how often the controller has begun to look at an execution.
func (w *wire) looks(wfe *wfev1.WorkflowExecution) int {
	key := client.ObjectKeyFromObject(wfe)
	return w.count(func(c call) bool { return !c.live && c.key == key && c.String() == "get "+wfev1.Kind })
}

// looked are the names of what the controller has looked at in the spec's namespace, in the order of the first look.
func (w *wire) looked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, c := range w.notes() {
		if !c.live && c.key.Namespace == ns && c.String() == "get "+wfev1.Kind && !slices.Contains(names, c.key.Name) {
			names = append(names, c.key.Name)
		}
	}
	return names
}

// liveReads is how often the API server was read, and not the cache.
func (w *wire) liveReads() int { return w.count(func(c call) bool { return c.live }) }

// writes lists the writes that reached the API server for objects of this name in the spec's namespace.
func (w *wire) writes(name string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var writes []call
	for _, c := range w.notes() {
		if !c.isRead() && c.key.Namespace == ns && c.key.Name == name && c.err == nil {
			writes = append(writes, c)
		}
	}
	return writes
}

// wrote lists the writes in short.
func (w *wire) wrote(name string) []string {
	short := []string{}
	for _, c := range w.writes(name) {
		short = append(short, c.String())
	}
	return short
}

// creations is how many Workflows were created for each owner and role.
func (w *wire) creations() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	created := map[string]int{}
	for _, c := range w.notes() {
		if c.String() == "create Workflow" && c.err == nil {
			created[c.key.Name+" of "+string(c.owner)]++
		}
	}
	return created
}

// tap puts the wire before a client.
func (w *wire) tap(c client.WithWatch, live bool) client.WithWatch {
	note := func(verb string, object client.Object, sub string) call {
		noted := call{verb: verb, kind: kindOf(object, sub), key: client.ObjectKeyFromObject(object), live: live}
		if owners := object.GetOwnerReferences(); len(owners) > 0 {
			noted.owner = owners[0].UID
		}
		return noted
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			noted := call{verb: "get", kind: kindOf(object, ""), key: key, live: live}
			return w.pass(noted, func() error { return c.Get(ctx, key, object, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			noted := call{verb: "list", kind: fmt.Sprintf("%T", list), live: live}
			return w.pass(noted, func() error { return c.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return w.pass(note("create", object, ""), func() error { return c.Create(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return w.pass(note("delete", object, ""), func() error { return c.Delete(ctx, object, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			return w.pass(note("update", object, ""), func() error { return c.Update(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			noted := note("patch", object, "")
			noted.body = patchOf(patch, object)
			return w.pass(noted, func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			noted := note("patch", object, "/"+sub)
			noted.body = patchOf(patch, object)
			return w.pass(noted, func() error { return c.SubResource(sub).Patch(ctx, object, patch, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			noted := note("update", object, "/"+sub)
			noted.body = bodyOf(object)
			return w.pass(noted, func() error { return c.SubResource(sub).Update(ctx, object, opts...) })
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
