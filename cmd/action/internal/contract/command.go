package contract

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Main runs the subcommand that args names and returns the exit code of the process.
func Main(ctx context.Context, env Environment, actions []Action, args []string) int {
	code := ExitDone
	root := &cobra.Command{
		Use:           "action",
		Short:         "Runs one remediation action and waits for its effect.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, action := range actions {
		root.AddCommand(&cobra.Command{
			Use:   action.Name,
			Short: action.Summary,
			Long:  describe(action),
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				code = Run(cmd.Context(), env, action)
				return nil
			},
		})
	}
	root.SetArgs(args)
	root.SetOut(env.Stdout)
	if err := root.ExecuteContext(ctx); err != nil {
		return Report(ctx, env, Action{Name: strings.Join(args, " ")}, Invalid("%w; parameters are environment variables, not arguments", err))
	}
	return code
}

// describe returns the help text of an action.
func describe(action Action) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nParameters, by environment variable:\n", action.Summary)
	for _, p := range action.Parameters {
		need := "optional"
		switch {
		case p.Required:
			need = "required"
		case p.Default != "":
			need = "default " + p.Default
		}
		fmt.Fprintf(&b, "  %-28s %s (%s)\n", p.Variable(), p.Description, need)
	}
	b.WriteString("\nOutputs:\n")
	for _, o := range action.Outputs {
		fmt.Fprintf(&b, "  %-28s %s\n", o.Name, o.Description)
	}
	return b.String()
}
