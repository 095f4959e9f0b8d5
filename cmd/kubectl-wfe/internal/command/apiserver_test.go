package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// testCluster is an API server without a controller: the tests write the statuses.
type testCluster struct {
	t          *testing.T
	admin      client.WithWatch
	kubeconfig string
	namespace  string
}

// TestAPIServer runs the commands that need a cluster against a real API server and etcd.
func TestAPIServer(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS must name the folder with etcd and kube-apiserver; make test-unit sets it")
	}
	ctrl.SetLogger(logr.Discard()) // controller-runtime prints a stack trace otherwise
	environment := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute}
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	user, err := environment.AddUser(envtest.User{Name: "carol", Groups: []string{"system:masters"}}, config)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	w := &testCluster{t: t, kubeconfig: write(t, "config", string(kubeconfig)), namespace: "default"}
	// This test must finish before the definitions are installed.
	testNoDefinitions(w)

	folders, err := testutil.DefinitionFolders()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: folders, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	scheme, err := testutil.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.admin, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	w.installCatalog()
	for name, test := range map[string]func(*testCluster){
		"UnknownNames": testUnknownNames, "Views": testViews, "ControlCharacters": testControlCharacters, "RBAC": testRBAC, "Get": testGet, "GetWatch": testGetWatch,
		"Submit": testSubmit, "SubmitAndWatch": testSubmitAndWatch, "Rerun": testRerun, "Latest": testLatest, "Completion": testCompletion, "Logs": testLogs, "Actions": testActions,
		"Decisions": testDecisions, "ConcurrentDecisions": testConcurrentDecisions, "Control": testControl, "Retry": testRetry, "RetryByAnEditor": testRetryByAnEditor,
		"Watch": testWatch, "WatchDeletion": testWatchDeletion, "Diff": testDiff, "DiffTimeout": testDiffTimeout, "Dashboard": testDashboard, "DashboardErrors": testDashboardErrors,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(w.in(t))
		})
	}
}

// in returns the cluster with a new namespace.
func (w *testCluster) in(t *testing.T) *testCluster {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := w.admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return &testCluster{t: t, admin: w.admin, kubeconfig: w.kubeconfig, namespace: ns.Name}
}

// run runs the program in the test's namespace.
func (w *testCluster) run(args ...string) result {
	w.t.Helper()
	return w.runIn(w.t.Context(), "", args...)
}

func (w *testCluster) runIn(ctx context.Context, in string, args ...string) result {
	return run(ctx, in, append([]string{"--kubeconfig", w.kubeconfig, "-n", w.namespace}, args...)...)
}

// installCatalog installs the built-in actions.
func (w *testCluster) installCatalog() {
	w.t.Helper()
	files, err := filepath.Glob("../../../../config/actions/*-*.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	objects, err := testutil.ReadManifests(files...)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, object := range objects {
		if err := w.admin.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
	}
}

// sample creates an execution of four steps, of which the second is an approval.
func (w *testCluster) createSample(name string) *wfev1.WorkflowExecution {
	w.t.Helper()
	value := func(s string) *string { return &s }
	deployment := wfev1.Parameter{Name: "deployment", Value: value("payment-api")}
	wfe := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Labels: map[string]string{"alert": "oom"}},
		Spec: wfev1.WorkflowExecutionSpec{
			Target: wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "payment-api"},
			Steps: []wfev1.Step{
				{Name: "scale-up", Action: "scale-deployment", Parameters: []wfev1.Parameter{deployment, {Name: "replicas", Value: value("5")}}},
				{Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "Restart?"}, DependsOn: []string{"scale-up"}},
				{Name: "restart", Action: "restart-deployment", DependsOn: []string{"ask"}, Parameters: []wfev1.Parameter{deployment}},
				{Name: "scale-back", Action: "scale-deployment", DependsOn: []string{"restart"}, Parameters: []wfev1.Parameter{
					deployment, {Name: "replicas", ValueFrom: &wfev1.OutputReference{Step: "scale-up", Output: "previous-replicas"}},
				}},
			},
		},
	}
	if err := w.admin.Create(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	return wfe
}

// createNewer creates a sample with a later creation time, which has a resolution of one second.
func (w *testCluster) createNewer(older *wfev1.WorkflowExecution, name string) *wfev1.WorkflowExecution {
	w.t.Helper()
	w.eventually("the clock shows the next second", func() bool { return time.Now().Unix() > older.CreationTimestamp.Unix() })
	return w.createSample(name)
}

// eventually waits until a condition is true.
func (w *testCluster) eventually(what string, isTrue func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 50*time.Millisecond, testTimeout, true, func(context.Context) (bool, error) {
		return isTrue(), nil
	})
	if err != nil {
		w.t.Fatalf("timeout before %s", what)
	}
}

// writeStatus writes a status like the controller: a phase, and the phases of the first steps.
func (w *testCluster) writeStatus(ctx context.Context, wfe *wfev1.WorkflowExecution, phase wfev1.Phase, steps ...wfev1.StepPhase) error {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	before := wfe.DeepCopy()
	wfe.Status.Phase, wfe.Status.StartTime = phase, &now
	wfe.Status.Steps = nil
	ended := 0
	for i := range wfe.Spec.Steps {
		step := wfev1.StepStatus{Name: wfe.Spec.Steps[i].Name, Action: wfe.Spec.Steps[i].Action, Phase: wfev1.StepPending}
		if i < len(steps) {
			step.Phase, step.StartTime = steps[i], &now
		}
		if step.Phase.IsTerminal() {
			ended++
			step.CompletionTime = &now
		}
		if step.Phase == wfev1.StepCompleted && step.Action == "scale-deployment" {
			step.Outputs = []wfev1.Output{{Name: "changed", Value: "true"}, {Name: "previous-replicas", Value: "2"}}
		}
		if step.Phase == wfev1.StepFailed {
			step.Reason, step.Message = wfev1.ReasonOOMKilled, "main: OOMKilled (exit code 137)"
			wfe.Status.Failure = &wfev1.Failure{Step: step.Name, Action: step.Action, Reason: step.Reason, Message: step.Message}
		}
		wfe.Status.Steps = append(wfe.Status.Steps, step)
	}
	wfe.Status.Progress = fmt.Sprintf("%d/%d", ended, len(wfe.Spec.Steps))
	if phase.IsTerminal() {
		wfe.Status.CompletionTime = &now
	}
	return w.admin.Status().Patch(ctx, wfe, client.MergeFrom(before))
}

func (w *testCluster) mustWriteStatus(wfe *wfev1.WorkflowExecution, phase wfev1.Phase, steps ...wfev1.StepPhase) {
	w.t.Helper()
	if err := w.writeStatus(w.t.Context(), wfe, phase, steps...); err != nil {
		w.t.Fatal(err)
	}
}

// execution returns the current version of an execution.
func (w *testCluster) execution(name string) *wfev1.WorkflowExecution {
	w.t.Helper()
	wfe := &wfev1.WorkflowExecution{}
	if err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, wfe); err != nil {
		w.t.Fatal(err)
	}
	return wfe
}
