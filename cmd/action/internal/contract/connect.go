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
)

// Connect makes the clients for the cluster that the pod runs in, or, outside of one, for the current context of the
// kubeconfig, so that a person can try an action by hand.
func Connect(log *slog.Logger) (*Clients, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{},
	).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	return NewClients(config, log)
}

// NewClients makes the clients for a cluster.
func NewClients(config *rest.Config, log *slog.Logger) (*Clients, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "workflowexecution-action"
	config.WarningHandlerWithContext = warnings{log}
	config.QPS, config.Burst = 20, 40
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

// warnings makes the API server's warnings lines of the log.
type warnings struct{ log *slog.Logger }

// HandleWarningHeaderWithContext logs one warning.
func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	w.log.WarnContext(ctx, "the API server warns", "warning", text)
}
