package argo

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const callTimeout = 5 * time.Second

// resources are the resources that the controller of Argo needs.
var resources = sets.New("workflows", "workflowtemplates", "clusterworkflowtemplates", "workflowtasksets", "workflowtaskresults")

// waitForResources waits until the API server serves the resources, which takes a moment after it has accepted their definitions.
func waitForResources(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, readyTimeout, true, func(context.Context) (bool, error) {
		// At first the group does not exist.
		served, err := client.ServerResourcesForGroupVersion("argoproj.io/v1alpha1")
		if err != nil {
			last = err
			return false, nil //nolint:nilerr // the error is reported after the timeout
		}
		missing := resources.Clone()
		for _, resource := range served.APIResources {
			missing.Delete(resource.Name)
		}
		last = fmt.Errorf("%v are not served", sets.List(missing))
		return len(missing) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}

// CheckController returns the version of the installed controller, and an error unless it is ready.
func CheckController(ctx context.Context, kubeconfig string) (version string, err error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", fmt.Errorf("check Argo Workflows: %w", err)
	}
	config.Timeout = callTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", fmt.Errorf("check Argo Workflows: %w", err)
	}
	deployment, err := client.AppsV1().Deployments(Namespace).Get(ctx, "workflow-controller", metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("check Argo Workflows: %w", err)
	}
	for _, container := range deployment.Spec.Template.Spec.Containers {
		_, version, _ = strings.Cut(container.Image, ":")
	}
	if deployment.Status.ReadyReplicas == 0 {
		return version, fmt.Errorf("check Argo Workflows: no replica of its controller is ready")
	}
	return version, nil
}
