package contract

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// Connect makes clients for the cluster that the pod runs in. Outside a cluster it uses the current context of the
// kubeconfig, so that an action can be run manually.
func Connect(log *slog.Logger) (*Clients, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{},
	).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	return NewClients(config, log)
}

// NewClients makes clients from a configuration.
func NewClients(config *rest.Config, log *slog.Logger) (*Clients, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "workflowexecution-action"
	config.WarningHandlerWithContext = warnings{log}
	config.RateLimiter = deadlineLimiter{flowcontrol.NewTokenBucketRateLimiter(20, 40)}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	anything, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube.Discovery()))
	return &Clients{Kube: kube, Dynamic: anything, Mapper: mapper}, nil
}

// deadlineLimiter returns the error of the context where client-go's limiter returns one of its own, without a type, because
// the deadline comes before the next token.
type deadlineLimiter struct{ flowcontrol.RateLimiter }

// Wait waits for a token or for the end of the context.
func (l deadlineLimiter) Wait(ctx context.Context) error {
	if l.RateLimiter.Wait(ctx) == nil {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// warnings logs the API server's warnings.
type warnings struct{ log *slog.Logger }

// HandleWarningHeaderWithContext logs one warning.
func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	w.log.WarnContext(ctx, "warning from the API server", "warning", text)
}
