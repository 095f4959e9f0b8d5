package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// creation has the flags of the commands that create an execution.
type creation struct {
	session *session
	output  *output
	dryRun  string
	watch   bool
}

func (s *session) newCreation(cmd *cobra.Command) *creation {
	k := &creation{session: s, output: newOutput(cmd, "", formatJSON, formatYAML)}
	cmd.Flags().StringVar(&k.dryRun, "dry-run", dryRunNone, "client prints the object without sending it; server sends it without persisting it; none creates it.")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = dryRunServer
	cmd.Flags().BoolVarP(&k.watch, "watch", "w", false, "Follow the new execution until it finishes; the exit code is its outcome.")
	mustComplete(cmd, "dry-run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{dryRunNone, dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp
	})
	return k
}

// check validates the flags before the first request.
func (k *creation) check() error {
	switch k.dryRun {
	case dryRunNone:
		return nil
	case dryRunClient, dryRunServer:
		if k.watch {
			return errors.New("--watch and --dry-run exclude each other: a dry run creates nothing to follow")
		}
		return nil
	}
	return fmt.Errorf("invalid --dry-run value %q: must be none, client or server", k.dryRun)
}

// create creates an execution, unless it is a client-side dry run.
func (k *creation) create(ctx context.Context, c *connection, wfe *wfev1.WorkflowExecution) error {
	switch k.dryRun {
	case dryRunClient:
		return nil
	case dryRunServer:
		return c.Create(ctx, wfe, client.DryRunAll)
	}
	return c.Create(ctx, wfe)
}

// finish prints the new execution, with a detail for the message, and follows it if the user wants to.
func (k *creation) finish(ctx context.Context, c *connection, wfe *wfev1.WorkflowExecution, detail string) error {
	wfe.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	switch {
	case k.output.isObject():
		if err := k.output.print(wfe, k.session.Streams.Out); err != nil {
			return err
		}
	default:
		k.session.printLine("workflowexecution/%s %s%s", nameOf(wfe), k.result(), detail)
	}
	if !k.watch {
		return nil
	}
	return k.session.watch(ctx, c, wfe)
}

func (k *creation) result() string {
	switch k.dryRun {
	case dryRunClient:
		return "created (dry run)"
	case dryRunServer:
		return "created (server dry run)"
	}
	return "created"
}

// nameOf returns the name of an execution; a client-side dry run generates none.
func nameOf(wfe *wfev1.WorkflowExecution) string {
	if wfe.Name == "" {
		return wfe.GenerateName
	}
	return wfe.Name
}
