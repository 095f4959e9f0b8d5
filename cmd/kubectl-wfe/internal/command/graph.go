package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/graph"
)

func (s *session) newGraph() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "graph NAME | -f FILE",
		GroupID:           groupInspect,
		Short:             "Print the graph of an execution's steps",
		Long:              "Prints the graph of an execution's steps, colored by phase, for Mermaid or Graphviz, or as an SVG image.",
		Example:           examples("kubectl wfe graph payment-api-oom -o svg > graph.svg", "kubectl wfe graph -f remediation.yaml"),
		Args:              optionalArguments(1),
		ValidArgsFunction: s.executions(nil),
	}
	f := s.newManifests(cmd)
	f.addCatalog(cmd)
	o := newOutput(cmd, "mermaid", "mermaid", "dot", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		executions, err := s.fromManifestsOrCluster(cmd, f, args, f.catalog)
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
