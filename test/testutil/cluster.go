package testutil

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// SystemNamespace is the namespace into which config/default installs the controller.
const SystemNamespace = "workflowexecution-system"

// Cluster is a connection to the cluster of KUBECONFIG.
type Cluster struct {
	client.Client
	Config    *rest.Config
	Clientset kubernetes.Interface
}

// Connect connects to the cluster of KUBECONFIG.
func Connect() (*Cluster, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	// client-go logs the end of a port forwarding as an error.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &Cluster{Client: c, Config: config, Clientset: clientset}, nil
}

// NewScheme contains the kinds of Kubernetes, of Argo and of this repository.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, wfev1.AddToScheme, wfv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

// ControllerPod returns the running pod of the controller. If there are several, it returns the youngest.
func (c *Cluster) ControllerPod(ctx context.Context) (*corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := c.List(ctx, pods, client.InNamespace(SystemNamespace), client.MatchingLabels{"app.kubernetes.io/component": "controller"})
	if err != nil {
		return nil, fmt.Errorf("list the controller's pods: %w", err)
	}
	var youngest *corev1.Pod
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		if youngest == nil || youngest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			youngest = pod
		}
	}
	if youngest == nil {
		return nil, fmt.Errorf("no pod of the controller is running in %s", SystemNamespace)
	}
	return youngest, nil
}

// IsSimulated reports whether the nodes of the cluster are simulated, so that pods do nothing.
func (c *Cluster) IsSimulated(ctx context.Context) (bool, error) {
	simulated := &corev1.NodeList{}
	err := c.List(ctx, simulated, client.HasLabels{"workflowexecution.kubernaut.io/simulated"})
	return len(simulated.Items) > 0, err
}

// Root returns the root of this repository, found from the working directory upwards, past the modules in test.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "config", "crd")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the root of the repository: the working directory is not in it")
		}
		dir = parent
	}
}
