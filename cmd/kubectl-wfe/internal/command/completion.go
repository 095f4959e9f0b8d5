package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// mustComplete registers the completion of a flag. It panics if the flag does not exist.
func mustComplete(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

// completeFlags registers the completion of the global flags.
func (s *session) completeFlags(root *cobra.Command) {
	mustComplete(root, "namespace", func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		c, err := s.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list := &corev1.NamespaceList{}
		if err := c.List(cmd.Context(), list); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return withPrefix(names, prefix), cobra.ShellCompDirectiveNoFileComp
	})
	mustComplete(root, "context", func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		config, err := s.config.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for name := range config.Contexts {
			names = append(names, name)
		}
		slices.Sort(names)
		return withPrefix(names, prefix), cobra.ShellCompDirectiveNoFileComp
	})
}

// executions completes the names of the executions that match; nil matches all.
func (s *session) executions(matches func(*wfev1.WorkflowExecution) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := s.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list := &wfev1.WorkflowExecutionList{}
		if err := c.List(cmd.Context(), list, client.InNamespace(c.namespace)); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for i := range list.Items {
			if matches == nil || matches(&list.Items[i]) {
				names = append(names, list.Items[i].Name)
			}
		}
		return withPrefix(names, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}

// executionsAndSteps completes the name of an execution, then the name of one of its steps.
func (s *session) executionsAndSteps(matches func(*wfev1.WorkflowExecution) bool, stepMatches func(*wfev1.Step) bool) cobra.CompletionFunc {
	names := s.executions(matches)
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return names(cmd, args, prefix)
		}
		_, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var steps []string
		for i := range wfe.Spec.Steps {
			if stepMatches(&wfe.Spec.Steps[i]) {
				steps = append(steps, wfe.Spec.Steps[i].Name)
			}
		}
		return withPrefix(steps, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}

func withPrefix(words []string, prefix string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return !strings.HasPrefix(word, prefix) })
}

func isLive(wfe *wfev1.WorkflowExecution) bool { return !tree.PhaseOf(wfe).IsTerminal() }

func hasFailed(wfe *wfev1.WorkflowExecution) bool {
	return wfe.Status.Phase == wfev1.PhaseFailed || wfe.Status.Phase == wfev1.PhaseCancelled
}

func isApproval(step *wfev1.Step) bool { return step.Approval != nil }
func isAction(step *wfev1.Step) bool   { return step.Approval == nil }
