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
	var unreachable *url.Error
	switch group := unknownGroup(err); {
	case group == wfev1.GroupVersion.Group:
		return "the cluster does not know WorkflowExecutions: install the controller, or use another --context"
	case group != "":
		return fmt.Sprintf("the cluster does not know the kinds of %s: install Argo Workflows, or use another --context", group)
	case clientcmd.IsEmptyConfig(err), errors.As(err, &unreachable) && serverOf(unreachable.URL) == unconfigured:
		return "no cluster is configured: set KUBECONFIG or --kubeconfig"
	case errors.As(err, &unreachable):
		return fmt.Sprintf("the API server at %s cannot be reached: %s", serverOf(unreachable.URL), rootCause(unreachable))
	case apierrors.IsUnauthorized(err):
		return "the API server does not know you: check the credentials of the kubeconfig"
	}
	return oneLine(err.Error())
}

// unknownGroup is the API group whose kinds the cluster does not have, or empty.
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

// rootCause is what the network says, without what was being asked for.
func rootCause(err *url.Error) string {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	return err.Err.Error()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
