package command

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	wfe := &wfev1.WorkflowExecution{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, wfe)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("WorkflowExecution %q not found in namespace %q", name, c.namespace)
	}
	if err != nil {
		return nil, err
	}
	wfe.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind)) // the decoder clears it
	return wfe, nil
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
