package e2e

import (
	"context"
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// monitoringURL is the URL of a server that implements the APIs of Prometheus and Alertmanager.
var monitoringURL string

// startMonitoring starts the server. Its URL contains an IP, because a cluster of tests may have no DNS.
func startMonitoring(ctx context.Context, namespace string) {
	GinkgoHelper()
	makeDeployment("monitoring", func(d *appsv1.Deployment) {
		container(d).Image, container(d).Args, container(d).ReadinessProbe = faultyImage, []string{"monitoring"}, nil
	})(ctx, namespace)
	waitSettled(ctx, namespace)
	pods := workloadPods(ctx, namespace, client.MatchingLabels{"app": "monitoring"})
	Expect(pods).To(HaveLen(1))
	monitoringURL = "http://" + net.JoinHostPort(pods[0].Status.PodIP, "9090")
}

func monitoringCases() []actionCase {
	return []actionCase{
		{
			action: "verify-metric", parameters: []string{"url", monitoringURL, "query", "up", "operator", ">=", "value", "1"},
			wrong: []string{"url", monitoringURL, "query", "up", "operator", ">=", "value", "many"}, reason: wfev1.ReasonInvalidSpec,
		},
		{
			action: "verify-alert", parameters: []string{"url", monitoringURL, "matchers", "alertname=KubePodCrashLooping", "stable-seconds", "0"},
			wrong: []string{"url", monitoringURL, "matchers", "firing"}, reason: wfev1.ReasonInvalidSpec,
		},
	}
}

var _ = Describe("The built-in actions that read monitoring", Ordered, ContinueOnFailure, Label(whole), func() {
	describeCases(monitoringCases, startMonitoring)
})
