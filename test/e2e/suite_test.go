// Package e2e tests the installed controller with a real Argo and real pods on the cluster of KUBECONFIG.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// runTimeout is the timeout of one execution of a few steps.
	runTimeout = 150 * time.Second
	pollEvery  = 250 * time.Millisecond
)

var (
	cluster *testutil.Cluster
	root    string
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "WorkflowExecution end to end")
}

// testCatalog has the actions of the specs.
const testCatalog = "test/e2e/testdata/catalog.yaml"

// Specs run in parallel in several processes. Specs that compare metrics or change shared objects are Serial.
var _ = SynchronizedBeforeSuite(func(ctx SpecContext) {
	connect()
	apply(ctx, "", testCatalog)
	_, err := cluster.ControllerPod(ctx)
	Expect(err).NotTo(HaveOccurred())
}, func(SpecContext) { connect() })

var _ = SynchronizedAfterSuite(func() {}, func(ctx SpecContext) {
	if cluster != nil {
		remove(ctx, manifests(testCatalog))
	}
})

func connect() {
	GinkgoHelper()
	if os.Getenv("KUBECONFIG") == "" {
		Fail("KUBECONFIG must name a cluster with Argo Workflows and config/default: run make test-e2e")
	}
	var err error
	root, err = testutil.Root()
	Expect(err).NotTo(HaveOccurred())
	cluster, err = testutil.Connect()
	Expect(err).NotTo(HaveOccurred())
}

// apply applies manifests of the repository, in the given namespace unless that is empty.
func apply(ctx context.Context, namespace string, paths ...string) {
	GinkgoHelper()
	objects := manifests(paths...)
	if namespace != "" {
		Expect(testutil.InNamespace(namespace, objects)).To(Succeed())
	}
	Expect(cluster.Apply(ctx, objects...)).To(Succeed())
}

// applyForSpecs applies manifests without a namespace, and deletes their objects after the current specs.
func applyForSpecs(ctx context.Context, paths ...string) {
	GinkgoHelper()
	objects := manifests(paths...)
	Expect(cluster.Apply(ctx, objects...)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { remove(ctx, objects) })
}

func remove(ctx context.Context, objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, object))).To(Succeed())
	}
}

// manifests reads manifests of the repository.
func manifests(paths ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	files := make([]string, len(paths))
	for i, path := range paths {
		files[i] = filepath.Join(root, path)
	}
	objects, err := testutil.ReadManifests(files...)
	Expect(err).NotTo(HaveOccurred())
	return objects
}

// newNamespace creates a namespace under Pod Security "restricted" with the service account of the samples, and deletes it after
// the spec.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "wfe-e2e-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() {
			describe(ctx, namespace.Name)
		}
		executions := &wfev1.WorkflowExecution{}
		Expect(cluster.DeleteAllOf(ctx, executions, client.InNamespace(namespace.Name))).To(Succeed())
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, namespace))).To(Succeed())
	})
	apply(ctx, namespace.Name, "config/samples/payment-api/remediation.yaml")
	return namespace.Name
}

// newTarget adds the Deployment of the samples to a namespace and waits until it is available.
func newTarget(ctx context.Context, namespace string) {
	GinkgoHelper()
	apply(ctx, namespace, "config/samples/payment-api/deployment.yaml")
	Eventually(func(g Gomega) {
		deployment, err := cluster.Clientset.AppsV1().Deployments(namespace).Get(ctx, "payment-api", metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(deployment.Status.AvailableReplicas).To(BeEquivalentTo(2))
	}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
}

// newExecution is an execution with a target of its own.
func newExecution(namespace, name string, steps ...wfev1.Step) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: wfev1.WorkflowExecutionSpec{
			Target:             wfev1.Target{APIVersion: "v1", Kind: "ConfigMap", Name: name},
			ServiceAccountName: "remediation",
			Steps:              steps,
		},
	}
}

// step is a step that runs an action. The parameters are pairs of name and value.
func step(name, action string, parameters ...string) wfev1.Step {
	s := wfev1.Step{Name: name, Action: action}
	for i := 0; i+1 < len(parameters); i += 2 {
		value := parameters[i+1]
		s.Parameters = append(s.Parameters, wfev1.Parameter{Name: parameters[i], Value: &value})
	}
	return s
}

func after(s wfev1.Step, names ...string) wfev1.Step {
	s.DependsOn = names
	return s
}

// run creates an execution and waits until it has ended.
func run(ctx context.Context, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	GinkgoHelper()
	Expect(cluster.Create(ctx, wfe)).To(Succeed())
	return waitEnd(ctx, wfe)
}

func waitEnd(ctx context.Context, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	GinkgoHelper()
	return waitEndFor(ctx, wfe, runTimeout)
}

func waitEndFor(ctx context.Context, wfe *wfev1.WorkflowExecution, timeout time.Duration) *wfev1.WorkflowExecution {
	GinkgoHelper()
	ended := &wfev1.WorkflowExecution{}
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), ended)).To(Succeed())
		g.Expect(ended.Status.Phase.IsTerminal()).To(BeTrue(), "phase %s, %s", ended.Status.Phase, ended.Status.Progress)
	}).WithContext(ctx).WithTimeout(timeout).WithPolling(pollEvery).Should(Succeed())
	return ended
}

func stepOf(wfe *wfev1.WorkflowExecution, name string) *wfev1.StepStatus {
	GinkgoHelper()
	for i := range wfe.Status.Steps {
		if wfe.Status.Steps[i].Name == name {
			return &wfe.Status.Steps[i]
		}
	}
	Fail(fmt.Sprintf("the status has no step %q", name))
	return nil
}

func scrape(ctx context.Context) testutil.Samples {
	GinkgoHelper()
	samples, err := cluster.Scrape(ctx)
	Expect(err).NotTo(HaveOccurred())
	return samples
}

// describe prints the objects of a failed spec.
func describe(ctx context.Context, namespace string) {
	for _, kind := range []string{"WorkflowExecutionList", "WorkflowList"} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(map[string]string{"WorkflowExecutionList": wfev1.GroupVersion.String(), "WorkflowList": "argoproj.io/v1alpha1"}[kind])
		list.SetKind(kind)
		if err := cluster.List(ctx, list, client.InNamespace(namespace)); err != nil {
			GinkgoWriter.Println("list", kind, err)
			continue
		}
		for i := range list.Items {
			list.Items[i].SetManagedFields(nil)
			encoded, _ := list.Items[i].MarshalJSON()
			GinkgoWriter.Println(string(encoded))
		}
	}
}
