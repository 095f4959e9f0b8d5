// Package cluster runs an API server, etcd, the manager binary, and a simulator in place of Argo that finishes the steps
// according to their names.
package cluster

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

// Namespace is the namespace of the executions.
const Namespace = "production"

// Cluster is a control plane with a manager and a simulated Argo.
type Cluster struct {
	*controlplane.ControlPlane
	// Root is the repository's folder, and Folder has the test's own files.
	Root, Folder string

	lock     sync.Mutex
	released map[string]bool
}

// Start starts a cluster and stops it at the end of the test.
func Start(t *testing.T) *Cluster {
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
	c := &Cluster{ControlPlane: plane, Folder: t.TempDir(), released: map[string]bool{}}
	if c.Root, err = testutil.Root(); err != nil {
		t.Fatal(err)
	}
	if err := plane.InstallArgo(testutil.Minimal); err != nil {
		t.Fatal(err)
	}
	actions, err := filepath.Glob(filepath.Join(c.Root, "config", "actions", "*-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := testutil.ReadManifests(append(actions, filepath.Join(c.Root, "config", "actions", "wait.yaml"))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		c.create(t, object)
	}
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	c.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "remediation"}})
	c.startArgo(t)
	c.startManager(t)
	return c
}

func (c *Cluster) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.Admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// startArgo starts the simulated Argo.
func (c *Cluster) startArgo(t *testing.T) {
	argo := &simulator.Controller{Argo: simulator.Argo{Now: time.Now}, Script: c.outcome, Pace: 300 * time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- argo.Run(ctx, c.Config, ctrl.Options{Scheme: c.Admin.Scheme()}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the simulated Argo: %v", err)
		}
	})
}

// outcome returns the result of a step by its name: fail-… fails, and hang-… runs until Release.
func (c *Cluster) outcome(wf *wfv1.Workflow, task string) simulator.Outcome {
	isRollback := wf.Labels[wfev1.LabelRole] == wfev1.RoleRollback
	switch {
	case strings.HasPrefix(task, "fail-") && !isRollback:
		return simulator.Outcome{Phase: wfv1.NodeFailed, Message: "main: OOMKilled (exit code 137)"}
	case strings.HasPrefix(task, "hang-") && !c.isReleased(wf.Name):
		return simulator.Outcome{}
	}
	return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous-replicas=2", "changed=true"}}
}

// Release finishes the hanging steps of a Workflow.
func (c *Cluster) Release(t *testing.T, workflow string) {
	t.Helper()
	c.lock.Lock()
	c.released[workflow] = true
	c.lock.Unlock()
	// The simulator reacts to changes of the Workflow.
	poke := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"test/released":"true"}}}`))
	wf := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: workflow}}
	if err := c.Admin.Patch(t.Context(), wf, poke); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) isReleased(workflow string) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.released[workflow]
}

// startManager builds and starts the manager.
func (c *Cluster) startManager(t *testing.T) {
	t.Helper()
	binary := c.Build(t, "./cmd/manager")
	kubeconfig := filepath.Join(c.Folder, "controller")
	if err := os.WriteFile(kubeconfig, c.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	manager := exec.Command(binary, "--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	manager.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var output bytes.Buffer
	manager.Stdout, manager.Stderr = &output, &output
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = manager.Process.Kill() // an error means that it has already exited
		_ = manager.Wait()
		if t.Failed() {
			t.Logf("the manager's output:\n%s", &output)
		}
	})
}

// Build builds a program from the working copy.
func (c *Cluster) Build(t *testing.T, program string) string {
	t.Helper()
	binary := filepath.Join(c.Folder, filepath.Base(program))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, program)
	build.Dir = c.Root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, output)
	}
	return binary
}

// UserKubeconfig writes a kubeconfig for an administrator, with the context prod.
func (c *Cluster) UserKubeconfig(t *testing.T) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["prod"] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthorityData: c.Config.CAData}
	config.AuthInfos["carol"] = authInfo(c.Config)
	config.Contexts["prod"] = &clientcmdapi.Context{Cluster: "prod", AuthInfo: "carol", Namespace: Namespace}
	config.CurrentContext = "prod"
	file := filepath.Join(c.Folder, "user")
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

// Execution returns an execution without steps whose target is a Deployment of the same name.
func Execution(name string) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: wfev1.WorkflowExecutionSpec{
			Target:             wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			ServiceAccountName: "remediation",
		},
	}
}

// Step returns a step with an action; the parameters are pairs of name and value.
func Step(name, action string, parameters ...string) wfev1.Step {
	step := wfev1.Step{Name: name, Action: action}
	for i := 0; i+1 < len(parameters); i += 2 {
		step.Parameters = append(step.Parameters, wfev1.Parameter{Name: parameters[i], Value: &parameters[i+1]})
	}
	return step
}

// After makes a step depend on others.
func After(step wfev1.Step, names ...string) wfev1.Step {
	step.DependsOn = names
	return step
}

// Wait waits until an execution meets a condition.
func (c *Cluster) Wait(t *testing.T, name, what string, is func(*wfev1.WorkflowExecution) bool) *wfev1.WorkflowExecution {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("%s did not become %s", name, what))
	defer cancel()
	wfe := &wfev1.WorkflowExecution{}
	for {
		if err := c.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, wfe); err == nil && is(wfe) {
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
func (c *Cluster) WaitPhase(t *testing.T, name string, phase wfev1.Phase) *wfev1.WorkflowExecution {
	t.Helper()
	return c.Wait(t, name, string(phase), func(wfe *wfev1.WorkflowExecution) bool { return wfe.Status.Phase == phase })
}

// Change changes an execution's specification.
func (c *Cluster) Change(t *testing.T, name string, change func(*wfev1.WorkflowExecutionSpec)) {
	t.Helper()
	wfe := &wfev1.WorkflowExecution{}
	if err := c.Admin.Get(t.Context(), client.ObjectKey{Namespace: Namespace, Name: name}, wfe); err != nil {
		t.Fatal(err)
	}
	before := wfe.DeepCopy()
	change(&wfe.Spec)
	if err := c.Admin.Patch(t.Context(), wfe, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
