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

// resources are what must be served before anyone can use the installation.
var resources = sets.New("workflows", "workflowtemplates", "clusterworkflowtemplates", "workflowtasksets", "workflowtaskresults")

// waitForResources waits until the API server serves Argo's resources, which takes a moment after their definitions are accepted.
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
		// A failure here is what is being waited out: the group does not exist at first.
		served, err := client.ServerResourcesForGroupVersion("argoproj.io/v1alpha1")
		if err != nil {
			last = err
			return false, nil //nolint:nilerr // waited out, and told at the end
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

// CheckController returns the version of the installed controller, and an error unless it runs.
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
