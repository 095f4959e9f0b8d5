package command

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// defaultServer is the address that client-go uses without a kubeconfig.
const defaultServer = "http://localhost:8080"

// explain returns an error in one line, for known errors with the remedy.
func explain(err error) string {
	var unreachable *url.Error
	switch group := unknownGroup(err); {
	case group == wfev1.GroupVersion.Group:
		return "the cluster has no WorkflowExecution resource: install the controller, or select another cluster with --context"
	case group != "":
		return fmt.Sprintf("the cluster has no resources of %s: install Argo Workflows, or select another cluster with --context", group)
	case clientcmd.IsEmptyConfig(err), errors.As(err, &unreachable) && serverOf(unreachable.URL) == defaultServer:
		return "no cluster is configured: set KUBECONFIG or use --kubeconfig"
	case errors.As(err, &unreachable):
		return fmt.Sprintf("the API server at %s cannot be reached: %s", serverOf(unreachable.URL), rootCause(unreachable))
	case apierrors.IsUnauthorized(err):
		return "the API server rejected your credentials: check the user in the kubeconfig"
	}
	return oneLine(err.Error())
}

// unknownGroup returns the API group that the cluster does not serve, or empty.
func unknownGroup(err error) string {
	var kind *meta.NoKindMatchError
	if errors.As(err, &kind) {
		return kind.GroupKind.Group
	}
	var resource *meta.NoResourceMatchError
	if errors.As(err, &resource) {
		return resource.PartialResource.Group
	}
	return ""
}

func serverOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return address
	}
	return parsed.Scheme + "://" + parsed.Host
}

// rootCause returns the network error without the request.
func rootCause(err *url.Error) string {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	return err.Err.Error()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
