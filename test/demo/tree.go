package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// marks are what a step's phase looks like in the tree.
var marks = map[wfev1.StepPhase]string{
	wfev1.StepPending: "○", wfev1.StepRunning: "●", wfev1.StepAwaitingApproval: "?",
	wfev1.StepCompleted: "✔", wfev1.StepFailed: "✖", wfev1.StepSkipped: "-", wfev1.StepCancelled: "⊘",
}

// follow shows the execution until it ends: drawn over and over on a terminal, else a line for each change.
func follow(ctx context.Context, cluster *testutil.Cluster, out io.Writer) (*wfev1.WorkflowExecution, error) {
	wfe := &wfev1.WorkflowExecution{}
	live := isTerminal(out)
	drawn, last := 0, ""
	err := wait.PollUntilContextCancel(ctx, 300*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, wfe); err != nil {
			return false, err
		}
		if !live {
			if line := oneLine(wfe); line != last {
				last = line
				_, _ = fmt.Fprintln(out, line)
			}
			return wfe.Status.Phase.IsTerminal(), nil
		}
		tree := drawTree(wfe)
		if drawn > 0 {
			_, _ = fmt.Fprintf(out, "\x1b[%dA\x1b[J", drawn)
		}
		_, _ = fmt.Fprint(out, tree)
		drawn = strings.Count(tree, "\n")
		return wfe.Status.Phase.IsTerminal(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("follow the execution: %w", err)
	}
	return wfe, nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// drawTree indents each step below the one that it depends on last.
func drawTree(wfe *wfev1.WorkflowExecution) string {
	depth := map[string]int{}
	after := map[string][]string{}
	for i := range wfe.Spec.Steps {
		after[wfe.Spec.Steps[i].Name] = wfe.Spec.Steps[i].DependsOn
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "  %s  %s  %s\n", wfe.Name, wfe.Status.Phase, wfe.Status.Progress)
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		for _, parent := range after[step.Name] {
			depth[step.Name] = max(depth[step.Name], depth[parent]+1)
		}
		_, _ = fmt.Fprintf(&b, "  %s%s %-14s %-20s %s %s\n", strings.Repeat("   ", depth[step.Name]), marks[step.Phase], step.Name, step.Action, step.Phase, duration(step))
	}
	return b.String()
}

func oneLine(wfe *wfev1.WorkflowExecution) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "  %-10s %-5s", wfe.Status.Phase, wfe.Status.Progress)
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		_, _ = fmt.Fprintf(&b, "  %s %s", marks[step.Phase], step.Name)
	}
	return b.String()
}

func printTable(out io.Writer, wfe *wfev1.WorkflowExecution) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "  STEP\tACTION\tPHASE\tATTEMPTS\tDURATION\tOUTPUTS")
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		outputs := make([]string, 0, len(step.Outputs))
		for _, output := range step.Outputs {
			outputs = append(outputs, output.Name+"="+output.Value)
		}
		_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\t%d\t%s\t%s\n", step.Name, step.Action, step.Phase, step.Attempts, duration(step), strings.Join(outputs, " "))
	}
	_ = w.Flush()
}

func duration(step *wfev1.StepStatus) string {
	if step.StartTime == nil {
		return ""
	}
	end := step.CompletionTime
	if end == nil {
		now := metav1.Now()
		end = &now
	}
	return end.Sub(step.StartTime.Time).Round(time.Second).String()
}
