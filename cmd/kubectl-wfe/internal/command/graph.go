package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/graph"
)

func (s *session) newGraph() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "graph NAME | -f FILE",
		GroupID:           groupLook,
		Short:             "Write the graph of an execution's steps",
		Long:              "Writes the graph of an execution's steps, coloured by their phases, for Mermaid or dot, or as an SVG picture.",
		Example:           examples("kubectl wfe graph NAME -o svg > graph.svg", "kubectl wfe graph -f remediation.yaml"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.executions(nil),
	}
	f := s.newFiles(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, "mermaid", "mermaid", "dot", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		executions, err := s.fromFilesOrCluster(cmd, f, args, f.catalog)
		if err != nil {
			return err
		}
		for _, wfe := range executions {
			text, err := graph.Write(wfe, o.format)
			if err != nil {
				return err
			}
			fmt.Fprint(s.Streams.Out, text)
		}
		return nil
	}
	return cmd
}

// fromFilesOrCluster is the executions of -f, which are checked against a catalog, or the one that the argument names.
func (s *session) fromFilesOrCluster(cmd *cobra.Command, f *files, args []string, load func() (*catalog.Catalog, error)) ([]*wfev1.WorkflowExecution, error) {
	if (len(args) == 1) == (len(f.names) > 0) {
		return nil, errors.New("give either the NAME of an execution or a file with -f")
	}
	if len(args) == 1 {
		_, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return nil, err
		}
		return []*wfev1.WorkflowExecution{wfe}, nil
	}
	found, err := f.check(load)
	if err != nil {
		return nil, err
	}
	if err := f.report(s.Streams.ErrOut, found.problems); err != nil {
		return nil, err
	}
	executions := make([]*wfev1.WorkflowExecution, len(found.valid))
	for i := range found.valid {
		executions[i] = found.valid[i].WFE
	}
	return executions, nil
}
