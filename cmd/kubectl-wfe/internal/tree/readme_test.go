package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestReadme checks that the repository's README shows the tree of its execution as it is drawn in the middle of a run.
func TestReadme(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..", "..")
	sample, err := os.ReadFile(filepath.Join(root, "config", "samples", "remediate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict(sample, wfe); err != nil {
		t.Fatal(err)
	}
	ago := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: now.Add(-time.Duration(seconds) * time.Second)}
	}
	wfe.Status = wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseRunning, Progress: "1/4", StartTime: ago(20),
		Steps: []wfev1.StepStatus{
			{Name: "scale-up", Action: "scale-deployment", Phase: wfev1.StepCompleted, StartTime: ago(20), CompletionTime: ago(9)},
			{Name: "restart", Action: "restart-deployment", Phase: wfev1.StepRunning, StartTime: ago(9)},
			{Name: "raise-memory", Action: "set-resources", Phase: wfev1.StepRunning, StartTime: ago(9)},
			{Name: "verify", Action: "verify-deployment", Phase: wfev1.StepPending},
		},
	}
	if drawn := text(Draw(wfe, Options{Now: now})); !strings.Contains(string(readme), "```text\n"+drawn+"```\n") {
		t.Errorf("README.md does not show\n%s", drawn)
	}
}
