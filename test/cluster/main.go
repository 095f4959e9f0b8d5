// Command cluster starts a Kubernetes cluster with Argo Workflows for the tests and the demo of this repository, and removes it again. It
// builds all programs from Go modules. On machines that cannot run pods, it simulates them. It is for development machines, never for
// production.
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
