package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// mainContainer is the container that runs the action in a step's pod.
const mainContainer = "main"

// logsCommand has the flags of logs.
type logsCommand struct {
	session        *session
	options        corev1.PodLogOptions
	rollback, last bool
	raw            bool
}

func (s *session) newLogs() *cobra.Command {
	l := &logsCommand{session: s, options: corev1.PodLogOptions{Container: mainContainer}}
	tail := int64(-1)
	cmd := &cobra.Command{
		Use:     "logs NAME [STEP]",
		GroupID: groupInspect,
		Short:   "Print the logs of an execution's steps",
		Long: `Prints the logs of the last attempt of a step, or of all steps, as lines with the time, the step and the message. --raw
prints the lines as the container wrote them. Pods are kept for 24 hours after their Workflow finishes.`,
		Example: examples("kubectl wfe logs payment-api-oom", "kubectl wfe logs payment-api-oom -f", "kubectl wfe logs @latest --last",
			"kubectl wfe logs payment-api-oom scale-up --rollback --raw"),
		Args:              nameArgument(2),
		ValidArgsFunction: s.executionsAndSteps(nil, isAction),
	}
	cmd.Flags().BoolVarP(&l.options.Follow, "follow", "f", false, "Stream new log lines; without STEP those of all steps, until the execution finishes.")
	cmd.Flags().BoolVar(&l.options.Timestamps, "timestamps", false, "With --raw, include the time of each line.")
	cmd.Flags().Int64Var(&tail, "tail", -1, "Number of recent lines of each step to print; -1 prints all.")
	cmd.Flags().BoolVar(&l.rollback, "rollback", false, "Print the logs of the rollback.")
	cmd.Flags().BoolVar(&l.last, "last", false, "Print the logs of the step that started last.")
	cmd.Flags().BoolVar(&l.raw, "raw", false, "Print the lines as the container wrote them.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if tail >= 0 {
			l.options.TailLines = &tail
		}
		step := ""
		if len(args) == 2 {
			step = args[1]
		}
		if l.last && step != "" {
			return errors.New("STEP and --last exclude each other")
		}
		return l.run(cmd.Context(), args[0], step)
	}
	return cmd
}

func (l *logsCommand) run(ctx context.Context, name, step string) error {
	c, wfe, err := l.session.open(ctx, name)
	if err != nil {
		return err
	}
	if l.options.Follow && step == "" && !l.last {
		return l.follow(ctx, c, wfe)
	}
	pods, err := podsOf(wfe, step, l.rollback)
	if err != nil {
		return err
	}
	if l.last {
		pods = pods[len(pods)-1:]
		step = pods[0].step
	}
	for _, pod := range pods {
		if err := l.copy(ctx, c, wfe.Namespace, pod, step == ""); err != nil {
			if step != "" {
				return err
			}
			l.session.warn("%s", explain(err))
		}
	}
	return nil
}

// follow streams the logs of every step from its start, until the execution finishes and the streams end.
func (l *logsCommand) follow(ctx context.Context, c *connection, wfe *wfev1.WorkflowExecution) error {
	var streams sync.WaitGroup
	defer streams.Wait()
	started := map[string]bool{}
	return c.follow(ctx, wfe, func(wfe *wfev1.WorkflowExecution, _ bool) bool {
		for _, pod := range startedPods(stepsOf(wfe, l.rollback)) {
			if !started[pod.pod] {
				started[pod.pod] = true
				streams.Go(func() {
					if err := l.copy(ctx, c, wfe.Namespace, pod, true); err != nil && ctx.Err() == nil {
						l.session.warn("%s", explain(err))
					}
				})
			}
		}
		return wfe.Status.Phase.IsTerminal()
	})
}

type stepPod struct{ step, pod string }

func stepsOf(wfe *wfev1.WorkflowExecution, rollback bool) []wfev1.StepStatus {
	if rollback {
		return wfe.Status.RollbackSteps
	}
	return wfe.Status.Steps
}

// podsOf returns the pod of one step, or of all steps that have one, in the order of their start.
func podsOf(wfe *wfev1.WorkflowExecution, step string, rollback bool) ([]stepPod, error) {
	steps := stepsOf(wfe, rollback)
	if rollback && len(steps) == 0 {
		return nil, fmt.Errorf("%q has no rollback", wfe.Name)
	}
	if step == "" {
		pods := startedPods(steps)
		if len(pods) == 0 {
			return nil, fmt.Errorf("no step of %q has run: it is %s", wfe.Name, phaseText(wfe))
		}
		return pods, nil
	}
	for i := range steps {
		switch {
		case steps[i].Name != step:
		case steps[i].PodName != "":
			return []stepPod{{step, steps[i].PodName}}, nil
		case steps[i].Action == "":
			return nil, fmt.Errorf("step %q is an approval and has no logs", step)
		case steps[i].Phase == wfev1.StepPending && !wfe.Status.Phase.IsTerminal():
			return nil, fmt.Errorf("step %q has no pod yet: it is %s", step, steps[i].Phase)
		default:
			return nil, fmt.Errorf("step %q has no logs: it did not run, and is %s", step, steps[i].Phase)
		}
	}
	return nil, fmt.Errorf("%q has no step %q; it has %s", wfe.Name, step, namesOf(stepNames(steps)))
}

func (l *logsCommand) copy(ctx context.Context, c *connection, namespace string, pod stepPod, isOneOfMany bool) error {
	options := l.options
	options.Timestamps = options.Timestamps || !l.raw
	stream, err := c.kube.CoreV1().Pods(namespace).GetLogs(pod.pod, &options).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("pod %s of step %q not found: it was deleted", pod.pod, pod.step)
	}
	if err != nil {
		return fmt.Errorf("step %q: %w", pod.step, err)
	}
	defer func() { _ = stream.Close() }() // the read error is returned
	format := func(line string) string { return readableLine(line, pod.step) }
	switch {
	case l.raw && isOneOfMany:
		format = func(line string) string { return "[" + pod.step + "] " + line }
	case l.raw:
		format = strings.Clone
	}
	return copyLines(l.session.Streams.Out, stream, format)
}
