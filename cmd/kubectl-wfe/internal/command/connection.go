package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// connection has clients for the cluster and the namespace that the flags and the kubeconfig select.
type connection struct {
	client.WithWatch
	kube      kubernetes.Interface
	namespace string
}

func (s *session) connect() (*connection, error) {
	config, err := s.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	// Warnings of the API server are about the program's own requests, which the user cannot change.
	config.WarningHandler = rest.NoWarnings{}
	namespace, _, err := s.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, wfev1.AddToScheme, wfv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &connection{WithWatch: c, kube: kube, namespace: namespace}, nil
}

// get returns the execution of this name.
func (c *connection) get(ctx context.Context, name string) (*wfev1.WorkflowExecution, error) {
	if name == latest {
		return c.newest(ctx)
	}
	wfe := &wfev1.WorkflowExecution{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, wfe)
	if apierrors.IsNotFound(err) {
		return nil, c.notFound(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	wfe.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind)) // the decoder clears it
	return wfe, nil
}

// newest returns the execution in the namespace that was created last.
func (c *connection) newest(ctx context.Context) (*wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	if err := c.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no executions found in namespace %q", c.namespace)
	}
	slices.SortFunc(list.Items, newestFirst)
	wfe := &list.Items[0]
	wfe.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	return wfe, nil
}

// resolve replaces @latest with the name of the newest execution.
func (c *connection) resolve(ctx context.Context, name string) (string, error) {
	if name != latest {
		return name, nil
	}
	wfe, err := c.newest(ctx)
	if err != nil {
		return "", err
	}
	return wfe.Name, nil
}

// newestFirst orders executions by creation, and those of the same second by name.
func newestFirst(a, b wfev1.WorkflowExecution) int {
	return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(b.Name, a.Name))
}

// notFound returns an error that names the namespaces with an execution of this name, if the user may list them.
func (c *connection) notFound(ctx context.Context, name string) error {
	message := fmt.Sprintf("WorkflowExecution %q not found in namespace %q", name, c.namespace)
	list := &wfev1.WorkflowExecutionList{}
	selected := &client.ListOptions{Raw: &metav1.ListOptions{FieldSelector: "metadata.name=" + name}}
	if err := c.List(ctx, list, selected); err != nil || len(list.Items) == 0 {
		return errors.New(message)
	}
	namespaces := make([]string, len(list.Items))
	for i := range list.Items {
		namespaces[i] = list.Items[i].Namespace
	}
	return fmt.Errorf("%s; it exists in %s: use -n %s", message, strings.Join(namespaces, ", "), namespaces[0])
}

// open connects to the cluster and returns the execution of this name.
func (s *session) open(ctx context.Context, name string) (*connection, *wfev1.WorkflowExecution, error) {
	c, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	wfe, err := c.get(ctx, name)
	return c, wfe, err
}
