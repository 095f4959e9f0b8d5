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

// unconfigured is the server that client-go asks where no kubeconfig names one.
const unconfigured = "http://localhost:8080"

// explain says in one sentence what went wrong and, where it is known, what to do.
func explain(err error) string {
	var unknown *meta.NoKindMatchError
	var unreachable *url.Error
	switch {
	case errors.As(err, &unknown) && unknown.GroupKind.Group == wfev1.GroupVersion.Group:
		return "the cluster does not know WorkflowExecutions: install the controller, or use another --context"
	case errors.As(err, &unknown):
		return fmt.Sprintf("the cluster does not know the kind %s: install Argo Workflows, or use another --context", unknown.GroupKind.Kind)
	case clientcmd.IsEmptyConfig(err), errors.As(err, &unreachable) && serverOf(unreachable.URL) == unconfigured:
		return "no cluster is configured: set KUBECONFIG or --kubeconfig"
	case errors.As(err, &unreachable):
		return fmt.Sprintf("the API server at %s cannot be reached: %s", serverOf(unreachable.URL), rootCause(unreachable))
	case apierrors.IsUnauthorized(err):
		return "the API server does not know you: check the credentials of the kubeconfig"
	}
	return oneLine(err.Error())
}

func serverOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return address
	}
	return parsed.Scheme + "://" + parsed.Host
}

// rootCause is what the network says, without what was being asked for.
func rootCause(err *url.Error) string {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	return err.Err.Error()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
