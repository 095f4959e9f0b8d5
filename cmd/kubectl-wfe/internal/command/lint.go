package command

import (
	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
)

func (s *session) newLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lint -f FILE",
		GroupID: groupOffline,
		Short:   "Check executions in files for errors",
		Long: `Reports what the API server or the controller would reject, each problem with its file, line, execution, step and field.
It needs no cluster: the schema and the built-in actions are part of this program. The exit code is 1 if there are problems.`,
		Example: examples("kubectl wfe lint -f remediation.yaml", "kubectl wfe lint -f remediations/ --catalog my-actions/", "helm template . | kubectl wfe lint -f -"),
		Args:    cobra.ArbitraryArgs,
	}
	f := s.newManifests(cmd)
	f.addCatalog(cmd)
	f.addArguments(cmd)
	o := newOutput(cmd, "", formatJSON, formatYAML)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.names = append(f.names, args...)
		found, err := f.check(f.catalog)
		if err != nil {
			return err
		}
		if o.isObject() {
			return s.printProblems(o, found.problems)
		}
		for _, v := range found.valid {
			s.printLine("%s: no problems, %d steps, %d dependencies", v.WFE.Name, len(v.WFE.Spec.Steps), v.Plan.Graph().Edges())
		}
		return f.report(s.Streams.Out, found.problems)
	}
	return cmd
}

// printProblems prints problems as JSON or YAML.
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
