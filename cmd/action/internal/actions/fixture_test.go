package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

const namespace = "production"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fixture is an in-memory cluster in which actions run as they do in a pod.
type fixture struct {
	t       *testing.T
	kube    *fake.Clientset
	clients *contract.Clients
	// controllers plays the cluster's controllers after every write.
	controllers sync.WaitGroup
	// log is the log of the last attempt.
	log string
	// writing serializes their writes.
	writing sync.Mutex
}

// newFixture makes a cluster that honours dry runs, which the fake client alone does not.
func newFixture(t *testing.T, objects ...runtime.Object) *fixture {
	t.Helper()
	kube := fake.NewClientset(objects...)
	f := &fixture{t: t, kube: kube, clients: &contract.Clients{Kube: kube}}
	kube.PrependReactor("*", "*", f.honourDryRun)
	t.Cleanup(f.controllers.Wait)
	return f
}

func (f *fixture) honourDryRun(action clienttesting.Action) (bool, runtime.Object, error) {
	if !isDryRun(action) {
		return false, nil, nil
	}
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		return true, a.Object, nil
	case clienttesting.UpdateActionImpl:
		return true, a.Object, nil
	case clienttesting.PatchActionImpl:
		found, err := f.kube.Tracker().Get(a.GetResource(), a.GetNamespace(), a.GetName())
		return true, found, err
	default:
		return true, nil, nil
	}
}

func isDryRun(action clienttesting.Action) bool {
	return slices.Equal(dryRunOf(action), []string{metav1.DryRunAll})
}

func dryRunOf(action clienttesting.Action) []string {
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		if eviction, ok := a.Object.(*policyv1.Eviction); ok && eviction.DeleteOptions != nil {
			return eviction.DeleteOptions.DryRun
		}
		return a.CreateOptions.DryRun
	case clienttesting.UpdateActionImpl:
		return a.UpdateOptions.DryRun
	case clienttesting.PatchActionImpl:
		return a.PatchOptions.DryRun
	case clienttesting.DeleteActionImpl:
		return a.DeleteOptions.DryRun
	case clienttesting.DeleteCollectionActionImpl:
		return a.DeleteOptions.DryRun
	default:
		return nil
	}
}

// failOnce makes the next request of this kind fail.
func (f *fixture) failOnce(verb, resource string, err error) {
	var once sync.Once
	f.kube.PrependReactor(verb, resource, func(clienttesting.Action) (failed bool, _ runtime.Object, _ error) {
		once.Do(func() { failed = true })
		return failed, nil, err
	})
}

// failAlways makes each request of this kind fail.
func (f *fixture) failAlways(verb, resource string, err error) {
	f.kube.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, err
	})
}

// run is one attempt of a step.
type run struct {
	action     string
	parameters map[string]string
	// step and workflow default to one identity, so that two runs are two attempts.
	step, workflow string
	// stopAfter sends the signal to stop after this time.
	stopAfter time.Duration
}

// result is the outcome of an attempt.
type result struct {
	Exit    int
	Outputs map[string]string
	Reason  string
	Message string
	Writes  []string
}

// attempt runs an action as its pod would. It also verifies two invariants of every action: its role allows every request,
// and in a dry run every write is one.
func (f *fixture) attempt(r run) result {
	f.t.Helper()
	action := find(f.t, r.action)
	dir := f.t.TempDir()
	termination := filepath.Join(dir, "termination")
	variables := map[string]string{
		contract.VariableNamespace: namespace, contract.VariablePod: "step-pod", contract.VariableWorkflow: "payment-api-oom",
		contract.VariableOutputs: filepath.Join(dir, "outputs"), contract.VariableTerminationLog: termination,
		contract.VariableStep: "the-step", contract.VariableWorkflowUID: "run-1", "PARAM_WAIT_SECONDS": "5",
	}
	if r.step != "" {
		variables[contract.VariableStep] = r.step
	}
	if r.workflow != "" {
		variables[contract.VariableWorkflowUID] = r.workflow
	}
	for name, value := range r.parameters {
		variables[contract.Parameter{Name: name}.Variable()] = value
	}
	ctx := f.t.Context()
	if r.stopAfter > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		defer time.AfterFunc(r.stopAfter, stop).Stop()
	}
	if f.kube != nil {
		f.kube.ClearActions()
	}
	var log bytes.Buffer
	code := contract.Main(ctx, contract.Environment{
		Lookup:  func(name string) string { return variables[name] },
		Stdout:  &log,
		Connect: func(*slog.Logger) (*contract.Clients, error) { return f.clients, nil },
		Backoff: contract.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond, Limit: 5 * time.Second},
	}, All(), []string{r.action})
	var requests []clienttesting.Action
	if f.kube != nil {
		requests = f.kube.Actions()
	}
	f.controllers.Wait()
	checkLog(f.t, log.String())
	f.writing.Lock()
	f.log = log.String()
	f.writing.Unlock()
	checkAllowed(f.t, action, requests)
	got := result{Exit: code, Outputs: readOutputs(f.t, filepath.Join(dir, "outputs")), Writes: writes(requests)}
	if r.parameters[contract.ParameterDryRun] == "true" {
		checkDryRun(f.t, requests)
	}
	got.Reason, got.Message = readTermination(f.t, termination, code)
	if f.t.Failed() || testing.Verbose() {
		f.t.Logf("log of %s:\n%s", r.action, log.String())
	}
	return got
}

func find(t *testing.T, name string) contract.Action {
	t.Helper()
	all := All()
	i := slices.IndexFunc(all, func(a contract.Action) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("there is no action %s", name)
	}
	return all[i]
}

func checkLog(t *testing.T, log string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(log), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
	}
}

func checkAllowed(t *testing.T, action contract.Action, requests []clienttesting.Action) {
	t.Helper()
	rules := action.Rules
	if slices.ContainsFunc(action.Parameters, func(p contract.Parameter) bool { return p.Name == parameterRestart }) {
		rules = slices.Concat(rules, restartDeployment().Rules, restartStatefulSet().Rules, restartDaemonSet().Rules)
	}
	for _, r := range requests {
		resource := r.GetResource().Resource
		if resource == "resource" || resource == "group" {
			// Discovery is open to every account.
			continue
		}
		if sub := r.GetSubresource(); sub != "" {
			resource += "/" + sub
		}
		allowed := false
		for _, rule := range rules {
			allowed = allowed || slices.Contains(rule.APIGroups, r.GetResource().Group) &&
				slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, r.GetVerb())
		}
		if !allowed {
			t.Errorf("%s: its role does not allow to %s %s", action.Name, r.GetVerb(), resource)
		}
	}
}

func checkDryRun(t *testing.T, requests []clienttesting.Action) {
	t.Helper()
	for _, r := range requests {
		if isWrite(r) && !isDryRun(r) {
			t.Errorf("%s %s wrote in a dry run", r.GetVerb(), r.GetResource().Resource)
		}
	}
}

func isWrite(r clienttesting.Action) bool {
	return !slices.Contains([]string{"get", "list", "watch"}, r.GetVerb())
}

// writes lists the writes among requests as "verb resource".
func writes(requests []clienttesting.Action) []string {
	var all []string
	for _, r := range requests {
		if isWrite(r) {
			all = append(all, strings.TrimSuffix(r.GetVerb()+" "+r.GetResource().Resource+"/"+r.GetSubresource(), "/"))
		}
	}
	return all
}

func readOutputs(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	outputs := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		outputs[e.Name()] = string(content)
	}
	return outputs
}

func readTermination(t *testing.T, path string, code int) (reason, message string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if code == 0 {
		if err == nil {
			t.Errorf("a successful step left a termination message: %s", content)
		}
		return "", ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Reason, Message string }
	if err := json.Unmarshal(content, &parsed); err != nil {
		t.Fatalf("the termination message %q: %v", content, err)
	}
	if len(content) > 1024 {
		t.Errorf("the termination message has %d bytes", len(content))
	}
	return parsed.Reason, parsed.Message
}

// check compares outcomes; the message of a failure only has to contain the wanted text.
func (want result) check(t *testing.T, reason string, got result) {
	t.Helper()
	if !strings.Contains(got.Message, want.Message) {
		t.Errorf("%s\nthe message %q does not contain %q", reason, got.Message, want.Message)
	}
	got.Message = want.Message
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\nresult (-want +got):\n%s", reason, diff)
	}
}

// sleep separates two changes, as in a cluster.
func sleep(d time.Duration) { <-time.After(d) }
