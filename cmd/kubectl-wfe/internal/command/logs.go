package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// mainContainer is the container that runs the action in a step's pod.
const mainContainer = "main"

func (s *session) newLogs() *cobra.Command {
	var rollback bool
	options := &corev1.PodLogOptions{Container: mainContainer}
	tail := int64(-1)
	cmd := &cobra.Command{
		Use:     "logs NAME [STEP]",
		GroupID: groupInspect,
		Short:   "Print the logs of an execution's steps",
		Long: `Prints the logs of the last attempt of a step, or of all steps with the step's name before each line. Pods are kept for
24 hours after their Workflow finishes.`,
		Example:           examples("kubectl wfe logs NAME", "kubectl wfe logs NAME STEP -f", "kubectl wfe logs NAME STEP --rollback"),
		Args:              nameArgument(2),
		ValidArgsFunction: s.executionsAndSteps(nil, isAction),
	}
	cmd.Flags().BoolVarP(&options.Follow, "follow", "f", false, "Stream new log lines; requires STEP.")
	cmd.Flags().BoolVar(&options.Timestamps, "timestamps", false, "Include the time of each line.")
	cmd.Flags().Int64Var(&tail, "tail", -1, "Number of recent lines to print; -1 prints all.")
	cmd.Flags().BoolVar(&rollback, "rollback", false, "Print the logs of the rollback.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if tail >= 0 {
			options.TailLines = &tail
		}
		step := ""
		if len(args) == 2 {
			step = args[1]
		}
		if options.Follow && step == "" {
			return fmt.Errorf("must specify a step to follow: kubectl wfe logs %s STEP -f", args[0])
		}
		c, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		pods, err := podsOf(wfe, step, rollback)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			prefix := ""
			if step == "" {
				prefix = "[" + pod.step + "] "
			}
			if err := c.copyLog(cmd.Context(), s.Streams.Out, wfe.Namespace, pod, prefix, options); err != nil {
				if step != "" {
					return err
				}
				s.warn("%s", explain(err))
			}
		}
		return nil
	}
	return cmd
}

type stepPod struct{ step, pod string }

// podsOf returns the pod of one step, or of all steps that have one.
func podsOf(wfe *wfev1.WorkflowExecution, step string, rollback bool) ([]stepPod, error) {
	steps := wfe.Status.Steps
	if rollback {
		if steps = wfe.Status.RollbackSteps; len(steps) == 0 {
			return nil, fmt.Errorf("%q has no rollback", wfe.Name)
		}
	}
	var pods []stepPod
	for i := range steps {
		if step == "" && steps[i].PodName != "" {
			pods = append(pods, stepPod{steps[i].Name, steps[i].PodName})
		}
		if step != steps[i].Name {
			continue
		}
		switch {
		case steps[i].PodName != "":
			return []stepPod{{step, steps[i].PodName}}, nil
		case steps[i].Action == "":
			return nil, fmt.Errorf("step %q is an approval and has no logs", step)
		}
		return nil, fmt.Errorf("step %q has no pod: it is %s", step, steps[i].Phase)
	}
	if step != "" {
		return nil, fmt.Errorf("%q has no step %q; it has %s", wfe.Name, step, namesOf(stepNames(steps)))
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("no step of %q has a pod", wfe.Name)
	}
	return pods, nil
}

func stepNames(steps []wfev1.StepStatus) []string {
	names := make([]string, len(steps))
	for i := range steps {
		names[i] = steps[i].Name
	}
	return names
}

func (c *connection) copyLog(ctx context.Context, out io.Writer, namespace string, pod stepPod, prefix string, options *corev1.PodLogOptions) error {
	stream, err := c.kube.CoreV1().Pods(namespace).GetLogs(pod.pod, options).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("pod %s of step %q not found: it was deleted", pod.pod, pod.step)
	}
	if err != nil {
		return fmt.Errorf("step %q: %w", pod.step, err)
	}
	defer func() { _ = stream.Close() }() // the read error is returned
	return prefixLines(out, stream, prefix)
}

// prefixLines copies lines of any length and adds a prefix to each.
func prefixLines(out io.Writer, in io.Reader, prefix string) error {
	reader := bufio.NewReader(in)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			if _, err := fmt.Fprintln(out, prefix+strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
