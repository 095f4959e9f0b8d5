package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/dryrun"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// cleanupTimeout bounds the deletion of a dry run, which also happens after an interrupt.
const cleanupTimeout = 10 * time.Second

func (s *session) newDiff() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "diff NAME | -f FILE",
		GroupID: groupInspect,
		Short:   "Show what an execution would change, with a dry run in the cluster",
		Long: `Creates a dry run of an execution, shows what each step would change, and deletes the dry run. The actions send their
requests with server-side dry run, so they change nothing; approvals are granted. The exit code is that of kubectl diff: 0 if
nothing would change, 1 if something would change, and 2 after an error or a failed step.`,
		Example:           examples("kubectl wfe diff -f remediation.yaml", "kubectl wfe diff payment-api-oom --timeout 2m"),
		Args:              optionalArguments(1),
		ValidArgsFunction: s.executions(nil),
	}
	f := s.newManifests(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "Maximum time to wait for each dry run.")
	scope := addCatalogScope(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		changes, err := s.diff(cmd, f, args, scope, timeout)
		var coded *codeError
		switch {
		case errors.As(err, &coded):
			return &codeError{code: exitDiffError, err: coded.err}
		case err != nil && cmd.Context().Err() != nil:
			return err
		case err != nil:
			return &codeError{code: exitDiffError, err: err}
		case changes:
			return &codeError{code: exitChanges}
		}
		return nil
	}
	return cmd
}

func (s *session) diff(cmd *cobra.Command, f *manifests, args []string, scope *catalog.Scope, timeout time.Duration) (changes bool, err error) {
	c, err := s.connect()
	if err != nil {
		return false, err
	}
	known, _, err := s.catalogOrBuiltIn(cmd, scope)
	if err != nil {
		return false, err
	}
	executions, err := s.fromManifestsOrCluster(cmd, f, args, func() (*catalog.Catalog, error) { return known, nil })
	if err != nil {
		return false, err
	}
	by, err := c.whoAmI(cmd.Context())
	if err != nil {
		return false, err
	}
	for _, wfe := range executions {
		if wfe.Namespace == "" {
			wfe.Namespace = c.namespace
		}
		ended, err := s.runDry(cmd.Context(), c, dryrun.New(wfe, by), timeout)
		if err != nil {
			return false, err
		}
		report := s.reportDiff(wfe, ended, known)
		changes = changes || report.Changes
		if ended.Status.Phase != wfev1.PhaseCompleted {
			return false, fmt.Errorf("the dry run of %q finished in phase %s, so the changes are incomplete", wfe.Name, ended.Status.Phase)
		}
	}
	return changes, nil
}

func (s *session) reportDiff(wfe, ended *wfev1.WorkflowExecution, known *catalog.Catalog) dryrun.Report {
	style := terminal.StyleFor(s.Streams.Out, s.Lookup)
	report := dryrun.Read(ended, known.Actions(), style)
	s.printLine("%s", style.Bold(fmt.Sprintf("%s: %s/%s", wfe.Name, wfe.Spec.Target.Kind, wfe.Spec.Target.Name)))
	for _, line := range report.Lines {
		s.printLine("%s", line)
	}
	if failure := ended.Status.Failure; failure != nil && failure.Step == "" {
		s.printLine("%s", oneLine(tree.FailureText(failure)))
	}
	return report
}

// runDry creates a dry run, waits until it finishes, and deletes it in every case.
func (s *session) runDry(ctx context.Context, c *connection, wfe *wfev1.WorkflowExecution, timeout time.Duration) (ended *wfev1.WorkflowExecution, err error) {
	if err := c.Create(ctx, wfe); err != nil {
		return nil, err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		if failed := client.IgnoreNotFound(c.Delete(cleanup, wfe)); failed != nil {
			err = errors.Join(err, fmt.Errorf("delete the dry run %q: %w", wfe.Name, failed))
		}
	}()
	bounded, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the dry run %q did not finish within %s", wfe.Name, timeout))
	defer cancel()
	err = c.follow(bounded, wfe, func(now *wfev1.WorkflowExecution, _ bool) bool {
		ended = now
		return now.Status.Phase.IsTerminal()
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, context.Cause(bounded)
	}
	return ended, err
}
