package describe

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

var update = flag.Bool("update", false, "write the golden file")

var now = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)

func TestGolden(t *testing.T) {
	t.Parallel()
	in, err := os.ReadFile("testdata/in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict(in, wfe); err != nil {
		t.Fatal(err)
	}
	ago := func(seconds int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(seconds) * time.Second)) }
	events := []corev1.Event{
		{Type: "Normal", Reason: "Created", Message: "created", ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(40)}},
		{Type: "Normal", Reason: "Old", Message: "written\nthe old way", LastTimestamp: ago(30)},
		{Type: "Normal", Reason: "New", Message: "written the new way", EventTime: metav1.NewMicroTime(ago(20).Time)},
		{Type: "Warning", Reason: "Series", Message: "again", EventTime: metav1.NewMicroTime(ago(20).Time), Series: &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(ago(10).Time)}},
	}
	var b strings.Builder
	if err := Write(&b, wfe, events, tree.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/want.txt", []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEmpty verifies that an execution without a status has no empty sections.
func TestEmpty(t *testing.T) {
	t.Parallel()
	wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "ns"}}
	wfe.Spec = wfev1.WorkflowExecutionSpec{Target: wfev1.Target{APIVersion: "v1", Kind: "Node", Name: "n"}, Steps: []wfev1.Step{{Name: "do", Action: "wait"}}}
	var b strings.Builder
	if err := Write(&b, wfe, nil, tree.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	want := "Name:       a\nNamespace:  ns\nTarget:     Node/n (v1)\nPhase:      Pending\nSteps:\n  └─ ○ do  wait  Pending\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
