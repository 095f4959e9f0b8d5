// Command action runs the built-in actions of the catalog, one subcommand for each action.
//
// Parameters are environment variables and outputs are files. The exit code and the termination message report the
// reason of a failure to the controller. See internal/contract.
package main

//go:generate go run ./internal/generate ../../config/actions

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/actions"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := contract.Main(ctx, contract.Environment{
		Lookup:  os.Getenv,
		Stdout:  os.Stdout,
		Connect: contract.Connect,
		Backoff: contract.DefaultBackoff(),
	}, actions.All(), os.Args[1:])
	stop()
	os.Exit(code)
}
