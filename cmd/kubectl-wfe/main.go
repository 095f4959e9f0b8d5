// Command kubectl-wfe is the kubectl plugin for WorkflowExecutions: kubectl wfe. This package contains wiring only.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // registers the authentication plugins of kubeconfigs

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/command"
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Main(ctx, command.Environment{
		Streams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Lookup:  os.Getenv,
		Now:     time.Now,
		Version: version,
	}, os.Args)
	stop()
	os.Exit(code)
}
