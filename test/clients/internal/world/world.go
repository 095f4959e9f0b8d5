// Package world runs this project for the tests of other programs: an API server and etcd, the manager as it is shipped,
// and a simulated Argo that ends the steps as their names say.
package world

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// Namespace is where the executions are.
const Namespace = "production"

// World is a control plane with a manager, and an Argo that is played.
type World struct {
	*controlplane.ControlPlane
	// Root is the repository's folder, Folder one for the test's own files.
	Root, Folder string

	lock     sync.Mutex
	released map[string]bool
}

// Start starts a world, and ends it with the test.
func Start(t *testing.T) *World {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	plane, err := controlplane.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	w := &World{ControlPlane: plane, Folder: t.TempDir(), released: map[string]bool{}}
	if w.Root, err = testutil.Root(); err != nil {
		t.Fatal(err)
	}
	if err := plane.InstallArgo(testutil.Minimal); err != nil {
		t.Fatal(err)
	}
	actions, err := filepath.Glob(filepath.Join(w.Root, "config", "actions", "*-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := testutil.ReadManifests(append(actions, filepath.Join(w.Root, "config", "actions", "wait.yaml"))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		w.create(t, object)
	}
	w.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	w.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "remediation"}})
	w.play(t)
	w.manage(t)
	return w
}

func (w *World) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := w.Admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// play runs a simulated Argo.
func (w *World) play(t *testing.T) {
	argo := &simulator.Controller{Argo: simulator.Argo{Now: time.Now}, Script: w.outcome, Pace: 300 * time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- argo.Run(ctx, w.Config, ctrl.Options{Scheme: w.Admin.Scheme()}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the simulated Argo: %v", err)
		}
	})
}

// outcome ends steps as their names say: fail-… fails, hang-… goes on until it is released.
func (w *World) outcome(wf *wfv1.Workflow, task string) simulator.Outcome {
	isRollback := wf.Labels[wfev1.LabelRole] == wfev1.RoleRollback
	switch {
	case strings.HasPrefix(task, "fail-") && !isRollback:
		return simulator.Outcome{Phase: wfv1.NodeFailed, Message: "main: OOMKilled (exit code 137)"}
	case strings.HasPrefix(task, "hang-") && !w.isReleased(wf.Name):
		return simulator.Outcome{}
	}
	return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous-replicas=2", "changed=true"}}
}

// Release lets the hanging steps of a Workflow end.
func (w *World) Release(t *testing.T, workflow string) {
	t.Helper()
	w.lock.Lock()
	w.released[workflow] = true
	w.lock.Unlock()
	// A change makes the simulator operate the Workflow.
	poke := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"test/released":"true"}}}`))
	wf := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: workflow}}
	if err := w.Admin.Patch(t.Context(), wf, poke); err != nil {
		t.Fatal(err)
	}
}

func (w *World) isReleased(workflow string) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.released[workflow]
}

// manage builds and runs the manager.
func (w *World) manage(t *testing.T) {
	t.Helper()
	binary := w.Build(t, "./cmd/manager")
	kubeconfig := filepath.Join(w.Folder, "controller")
	if err := os.WriteFile(kubeconfig, w.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	manager := exec.Command(binary, "--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	manager.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var said bytes.Buffer
	manager.Stdout, manager.Stderr = &said, &said
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = manager.Process.Kill() // it is only there for the test
		_ = manager.Wait()
		if t.Failed() {
			t.Logf("the manager said:\n%s", &said)
		}
	})
}

// Build builds a program of this repository, as a developer's working copy has it.
func (w *World) Build(t *testing.T, program string) string {
	t.Helper()
	binary := filepath.Join(w.Folder, filepath.Base(program))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, program)
	build.Dir = w.Root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, output)
	}
	return binary
}

// UserKubeconfig writes a kubeconfig for the administrator, whose context is named prod.
func (w *World) UserKubeconfig(t *testing.T) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["prod"] = &clientcmdapi.Cluster{Server: w.Config.Host, CertificateAuthorityData: w.Config.CAData}
	config.AuthInfos["carol"] = authInfo(w.Config)
	config.Contexts["prod"] = &clientcmdapi.Context{Cluster: "prod", AuthInfo: "carol", Namespace: Namespace}
	config.CurrentContext = "prod"
	file := filepath.Join(w.Folder, "user")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func authInfo(config *rest.Config) *clientcmdapi.AuthInfo {
	return &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		Username: config.Username, Password: config.Password,
	}
}

// Execution is an execution on a Deployment of its own name, without steps.
func Execution(name string) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: wfev1.WorkflowExecutionSpec{
			Target:             wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			ServiceAccountName: "remediation",
		},
	}
}

// Step is a step of an action, with parameters as pairs of name and value.
func Step(name, action string, parameters ...string) wfev1.Step {
	step := wfev1.Step{Name: name, Action: action}
	for i := 0; i+1 < len(parameters); i += 2 {
		step.Parameters = append(step.Parameters, wfev1.Parameter{Name: parameters[i], Value: &parameters[i+1]})
	}
	return step
}

// After lets a step wait for others.
func After(step wfev1.Step, names ...string) wfev1.Step {
	step.DependsOn = names
	return step
}

// Wait waits until an execution is as it should be.
func (w *World) Wait(t *testing.T, name, what string, is func(*wfev1.WorkflowExecution) bool) *wfev1.WorkflowExecution {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("%s never was %s", name, what))
	defer cancel()
	wfe := &wfev1.WorkflowExecution{}
	for {
		if err := w.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, wfe); err == nil && is(wfe) {
			return wfe
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v: %+v", context.Cause(ctx), wfe.Status)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// WaitPhase waits until an execution is in a phase.
func (w *World) WaitPhase(t *testing.T, name string, phase wfev1.Phase) *wfev1.WorkflowExecution {
	t.Helper()
	return w.Wait(t, name, string(phase), func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.Phase == phase })
}

// Change changes an execution's specification.
func (w *World) Change(t *testing.T, name string, change func(*wfev1.WorkflowExecutionSpec)) {
	t.Helper()
	wfe := &wfev1.WorkflowExecution{}
	if err := w.Admin.Get(t.Context(), client.ObjectKey{Namespace: Namespace, Name: name}, wfe); err != nil {
		t.Fatal(err)
	}
	before := wfe.DeepCopy()
	change(&wfe.Spec)
	if err := w.Admin.Patch(t.Context(), wfe, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
