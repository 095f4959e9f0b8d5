// Command cluster makes a Kubernetes cluster with Argo Workflows for the tests and the demo of this repository, from Go modules alone:
// it builds the programs, starts them, and removes all of it again. Where no pods can run it simulates them, and says so. It is a tool for development machines, never for production.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		stop()
		os.Exit(1)
	}
}
