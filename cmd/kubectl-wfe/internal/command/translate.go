package command

import (
	"fmt"

	"github.com/spf13/cobra"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
	"github.com/kubernaut-io/workflowexecution/translate"
)

func (s *session) newTranslate() *cobra.Command {
	var options translate.Options
	var rollback bool
	cmd := &cobra.Command{
		Use:     "translate -f FILE",
		GroupID: groupOffline,
		Short:   "Print the Argo Workflows for executions in files",
		Long: `Prints the Argo Workflow that the controller would create for each execution, without the UID of its owner. It needs no
cluster: the built-in actions are part of this program. --rollback prints the Workflow that would undo the completed steps in
the file's status; kubectl get wfe NAME -o yaml writes such a file.`,
		Example: examples("kubectl wfe translate -f remediation.yaml", "kubectl get wfe payment-api-oom -o yaml | kubectl wfe translate --rollback -f -"),
		Args:    cobra.NoArgs,
	}
	f := s.newManifests(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, formatYAML, formatYAML, formatJSON)
	cmd.Flags().StringVar(&options.ServiceAccountName, "default-service-account", "default", "Service account of executions without one. Must match the controller's flag.")
	cmd.Flags().StringVar(&options.InstanceID, "argo-instance-id", "", "Instance ID of the Argo controller. Must match the controller's flag.")
	cmd.Flags().BoolVar(&rollback, "rollback", false, "Print the Workflow that undoes the completed steps in the file's status.")
	cmd.RunE = func(*cobra.Command, []string) error {
		found, err := f.check(f.catalog)
		if err != nil {
			return err
		}
		if err := f.report(s.Streams.ErrOut, found.problems); err != nil {
			return err
		}
		for _, v := range found.valid {
			if v.WFE.Namespace == "" {
				v.WFE.Namespace = *s.config.Namespace
			}
			wf, err := workflowOf(v, found.known, options, rollback)
			if err != nil {
				return err
			}
			if err := o.print(wf, s.Streams.Out); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func workflowOf(v lint.Valid, known translate.Catalog, options translate.Options, rollback bool) (*wfv1.Workflow, error) {
	if !rollback {
		return v.Plan.Workflow(options), nil
	}
	undo, err := translate.NewRollback(v.WFE, known, options)
	if err != nil {
		return nil, err
	}
	if undo == nil {
		return nil, fmt.Errorf("%q has nothing to undo: its status has no completed step with a rollback", v.WFE.Name)
	}
	if undo.Workflow == nil {
		return nil, fmt.Errorf("no step of %q can be undone; undo of step %q: %s", v.WFE.Name, undo.Steps[0].Name, undo.Steps[0].Message)
	}
	return undo.Workflow, nil
}
