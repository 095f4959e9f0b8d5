package command

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
	"github.com/kubernaut-io/workflowexecution/translate"
)

func (s *session) newLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lint -f FILE",
		GroupID: groupFiles,
		Short:   "Tell what is wrong with executions in files",
		Long: `Tells what the API server or the controller would refuse, each problem with file, line, execution, step and field.
It needs no cluster: the schema and the built-in actions are part of this program. The exit code is 1 if there is a problem.`,
		Example: examples("kubectl wfe lint -f remediation.yaml", "kubectl wfe lint -f remediations/ --catalog my-actions/", "helm template . | kubectl wfe lint -f -"),
		Args:    cobra.NoArgs,
	}
	f := s.newFiles(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, "", formatJSON, formatYAML)
	cmd.RunE = func(*cobra.Command, []string) error {
		found, err := f.check(f.catalog)
		if err != nil {
			return err
		}
		if o.isObject() {
			return s.printProblems(o, found.problems)
		}
		for _, v := range found.valid {
			s.say("%s: no problems, %d steps, %d dependencies", v.WFE.Name, len(v.WFE.Spec.Steps), v.Plan.Graph().Edges())
		}
		return f.report(s.Streams.Out, found.problems)
	}
	return cmd
}

// printProblems prints problems for programs.
func (s *session) printProblems(o *output, problems []lint.Problem) error {
	if problems == nil {
		problems = []lint.Problem{}
	}
	if err := s.printValue(o, problems); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &codeError{code: exitError}
	}
	return nil
}

// printValue prints what is not an object of Kubernetes.
func (s *session) printValue(o *output, value any) error {
	encoded, err := json.MarshalIndent(value, "", "    ")
	if err == nil && o.format == formatYAML {
		encoded, err = yaml.JSONToYAML(encoded)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Streams.Out, string(encoded))
	return err
}

func (s *session) newTranslate() *cobra.Command {
	var options translate.Options
	var rollback bool
	cmd := &cobra.Command{
		Use:     "translate -f FILE",
		GroupID: groupFiles,
		Short:   "Print the Argo Workflows that executions in files become",
		Long: `Prints the Argo Workflow that the controller would create for each execution, but for the UID of its owner. It needs no
cluster: the built-in actions are part of this program. With --rollback it prints the Workflow that would undo what the
status in the file says was done; such a file comes from kubectl get wfe NAME -o yaml.`,
		Example: examples("kubectl wfe translate -f remediation.yaml", "kubectl get wfe NAME -o yaml | kubectl wfe translate --rollback -f -"),
		Args:    cobra.NoArgs,
	}
	f := s.newFiles(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, formatYAML, formatYAML, formatJSON)
	cmd.Flags().StringVar(&options.ServiceAccountName, "default-service-account", "default", "Service account of executions that name none, as the controller's flag says.")
	cmd.Flags().StringVar(&options.InstanceID, "argo-instance-id", "", "Instance ID of the Argo controller, as the controller's flag says.")
	cmd.Flags().BoolVar(&rollback, "rollback", false, "Print the Workflow that undoes what the status in the file says was done.")
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
		return nil, fmt.Errorf("by the status in the file %q has nothing to undo", v.WFE.Name)
	}
	return undo.Workflow, nil
}
