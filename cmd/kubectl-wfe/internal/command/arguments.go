package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// latest is the name that selects the newest execution in the namespace.
const latest = "@latest"

// nameArgument requires the NAME of an execution and allows up to maximum arguments.
func nameArgument(maximum int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("required NAME not specified: give the name of an execution, or %s; see '%s --help' for usage", latest, cmd.CommandPath())
		}
		return optionalArguments(maximum)(cmd, args)
	}
}

// optionalArguments allows up to maximum arguments.
func optionalArguments(maximum int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > maximum {
			return fmt.Errorf("unexpected argument %q; see '%s --help' for usage", args[maximum], cmd.CommandPath())
		}
		return nil
	}
}
