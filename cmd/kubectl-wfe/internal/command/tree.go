package command

import (
	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

func (s *session) newTree() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "tree NAME",
		GroupID:           groupInspect,
		Short:             "Show the steps of an execution as a tree",
		Long:              "Shows the steps of an execution, each below its deepest dependency, and its rollback. -o wide adds pods and outputs.",
		Example:           examples("kubectl wfe tree payment-api-oom", "kubectl wfe tree @latest -o wide"),
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(nil),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if o.isObject() {
			return o.print(wfe, s.Streams.Out)
		}
		drawing := s.drawing()
		drawing.Wide = o.format == formatWide
		if drawing.Wide {
			drawing.Width = 0
		}
		for _, line := range tree.Draw(wfe, drawing) {
			s.printLine("%s", line.Text)
		}
		return nil
	}
	return cmd
}
