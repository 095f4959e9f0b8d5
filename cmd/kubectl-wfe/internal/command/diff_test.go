package command

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// runDryRuns finishes every dry run in the namespace, like the controller, with these step phases.
func (w *testCluster) runDryRuns(ctx context.Context, phase wfev1.Phase, steps ...wfev1.StepPhase) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list := &wfev1.WorkflowExecutionList{}
		if err := w.admin.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			wfe := &list.Items[i]
			if wfe.Spec.DryRun && wfe.Status.Phase == "" {
				if err := w.writeStatus(ctx, wfe, phase, steps...); client.IgnoreNotFound(err) != nil {
					return false, err
				}
			}
		}
		return false, nil
	})
}

func testDiff(w *testCluster) {
	w.mustWriteStatus(w.createSample("plan"), wfev1.PhaseFailed, wfev1.StepFailed)
	for _, test := range []struct {
		name    string
		phase   wfev1.Phase
		steps   []wfev1.StepPhase
		args    []string
		code    int
		wantErr string
		want    []string
	}{
		{"changes", wfev1.PhaseCompleted, []wfev1.StepPhase{completed, completed, completed, completed}, []string{"plan"}, 1, "",
			[]string{"plan: Deployment/payment-api", "~ scale-up  scale-deployment  would change", "    replicas: 2 → 5", "= restart"}},
		{"nothing", wfev1.PhaseCompleted, []wfev1.StepPhase{wfev1.StepSkipped, completed, completed, wfev1.StepSkipped}, []string{"plan"}, 0, "",
			[]string{"- scale-up  scale-deployment  would not run"}},
		{"failure", wfev1.PhaseFailed, []wfev1.StepPhase{wfev1.StepFailed}, []string{"plan"}, 2, `error: the dry run of "plan" finished in phase Failed`,
			[]string{"✖ scale-up  scale-deployment  OOMKilled"}},
		{"file", wfev1.PhaseCompleted, []wfev1.StepPhase{completed, completed}, []string{"-f", samples + "approval.yaml"}, 0, "",
			[]string{"payment-api-approval: Deployment/payment-api", "= restart"}},
	} {
		ctx, cancel := context.WithCancel(w.t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- w.runDryRuns(ctx, test.phase, test.steps...) }()
		args := test.args
		if test.name == "file" {
			args = []string{"-f", w.sampleWithoutNamespace(args[1])}
		}
		got := w.run(append([]string{"diff"}, args...)...)
		cancel()
		if err := <-stopped; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Fatal(err)
		}
		w.t.Log(test.name)
		got.check(w.t, test.code, test.wantErr, test.want...)
		w.checkNoDryRun()
	}
}

// sampleWithoutNamespace writes a sample without its namespace.
func (w *testCluster) sampleWithoutNamespace(file string) string {
	w.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return write(w.t, "sample.yaml", strings.Replace(string(content), "  namespace: production\n", "", 1))
}

func (w *testCluster) checkNoDryRun() {
	w.t.Helper()
	list := &wfev1.WorkflowExecutionList{}
	if err := w.admin.List(w.t.Context(), list, client.InNamespace(w.namespace)); err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		if list.Items[i].Spec.DryRun {
			w.t.Errorf("the dry run %s was not deleted", list.Items[i].Name)
		}
	}
}

// testDiffTimeout verifies that a dry run is deleted after a timeout and after an interrupt.
func testDiffTimeout(w *testCluster) {
	w.createSample("plan")
	w.run("diff", "plan", "--timeout", "1200ms").check(w.t, 2, "did not finish within 1.2s")
	w.checkNoDryRun()
	ctx, cancel := context.WithTimeout(w.t.Context(), 1500*time.Millisecond)
	defer cancel()
	w.runIn(ctx, "", "diff", "plan").check(w.t, exitInterrupted, "")
	w.checkNoDryRun()
}
