package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// serverName is the name in the Argo server's certificate. The cluster has no DNS, so clients use host aliases.
	serverName = "argo-server.argo.svc"
	serverPort = 2746
	serverURL  = "https://argo-server.argo.svc:2746"
)

// argoServer is a real Argo server that runs in the cluster during the specs of one container.
type argoServer struct {
	certificate []byte
	pod         *corev1.Pod
}

// deployDatabase starts PostgreSQL and returns the part of Argo's configuration that refers to it.
func deployDatabase(ctx SpecContext) map[string]string {
	GinkgoHelper()
	createSecret(ctx, "argo-postgres", map[string][]byte{"username": []byte("postgres"), "password": []byte("only-of-these-specs")})
	pod := deployForSpecs(ctx, "postgres")
	secret := func(key string) map[string]string { return map[string]string{"name": "argo-postgres", "key": key} }
	persistence, err := json.Marshal(map[string]any{
		"nodeStatusOffLoad": true,
		"postgresql": map[string]any{
			"host": pod.Status.PodIP, "port": 5432, "database": "postgres", "tableName": "argo_workflows",
			"userNameSecret": secret("username"), "passwordSecret": secret("password"),
		},
	})
	Expect(err).NotTo(HaveOccurred())
	return map[string]string{"persistence": string(persistence)}
}

// deployServer starts the Argo server in the version of Argo's controller, with a self-signed certificate.
func deployServer(ctx SpecContext) *argoServer {
	GinkgoHelper()
	certificate, key := newCertificate()
	createSecret(ctx, "argo-server-tls", map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key})
	return &argoServer{certificate: certificate, pod: deployForSpecs(ctx, "argo-server")}
}

// trust configures the controller to use the Argo server, with config/components/argo-server.
func (s *argoServer) trust(ctx SpecContext) {
	GinkgoHelper()
	createForSpecs(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: testutil.SystemNamespace, Name: "argo-server-ca"},
		Data:       map[string]string{"ca.crt": string(s.certificate)},
	})
	encoded, err := os.ReadFile(filepath.Join(root, "config", "components", "argo-server", "manager.yaml"))
	Expect(err).NotTo(HaveOccurred())
	patch, err := yaml.YAMLToJSON(encoded)
	Expect(err).NotTo(HaveOccurred())
	configureController(ctx, func(ctx SpecContext) {
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: controllerKey.Namespace, Name: controllerKey.Name}}
		editPod(ctx, controllerKey, func(pod *corev1.PodSpec) {
			pod.Containers[0].Args = append(pod.Containers[0].Args, "--argo-ui-url="+serverURL)
			pod.HostAliases = []corev1.HostAlias{{IP: s.pod.Status.PodIP, Hostnames: []string{serverName}}}
		})
		Expect(cluster.Patch(ctx, deployment, client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
	})
}

// call calls the Argo server as a service account and returns the body and the status of the response.
func (s *argoServer) call(ctx context.Context, account client.ObjectKey, method, path, body string) (content []byte, status int) {
	GinkgoHelper()
	token, err := cluster.Token(ctx, account.Namespace, account.Name)
	Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(s.certificate)).To(BeTrue())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName}, ForceAttemptHTTP2: true}
	Expect(cluster.WithPort(s.pod, serverPort, func(address string) error {
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, method, "https://"+address+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		status = response.StatusCode
		content, err = io.ReadAll(response.Body)
		return err
	})).To(Succeed())
	return content, status
}

// read reads an object as the user interface does, with the rights of the controller.
func (s *argoServer) read(ctx context.Context, path string, into any) {
	GinkgoHelper()
	answer, status := s.call(ctx, controllerKey, http.MethodGet, path, "")
	Expect(status).To(Equal(http.StatusOK), "%s", answer)
	Expect(json.Unmarshal(answer, into)).To(Succeed(), "%s", answer)
}

// workflow reads a Workflow with its nodes.
func (s *argoServer) workflow(ctx context.Context, namespace, name string) *wfv1.Workflow {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	s.read(ctx, fmt.Sprintf("/api/v1/workflows/%s/%s", namespace, name), wf)
	return wf
}

// createSecret creates a Secret in Argo's namespace for the current specs.
func createSecret(ctx SpecContext, name string, data map[string][]byte) {
	GinkgoHelper()
	createForSpecs(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: argoNamespace, Name: name}, Data: data})
}

// deployForSpecs creates one of the Deployments of testdata/argo-server.yaml, deletes it after the current specs, and returns its
// pod once that is ready.
func deployForSpecs(ctx SpecContext, name string) *corev1.Pod {
	GinkgoHelper()
	controller := &appsv1.Deployment{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: argoNamespace, Name: "workflow-controller"}, controller)).To(Succeed())
	_, version, _ := strings.Cut(controller.Spec.Template.Spec.Containers[0].Image, ":")
	for _, object := range manifests("test/e2e/testdata/argo-server.yaml") {
		if object.GetName() == name {
			setVersion(object, version)
			Expect(cluster.Apply(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, object)).To(Succeed()) })
		}
	}
	pods := &corev1.PodList{}
	Eventually(func(g Gomega) {
		g.Expect(cluster.List(ctx, pods, client.InNamespace(argoNamespace), client.MatchingLabels{"app": name})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
		g.Expect(pods.Items[0].DeletionTimestamp).To(BeNil())
		g.Expect(pods.Items[0].Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))), "%+v", pods.Items[0].Status.ContainerStatuses)
	}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
	return &pods.Items[0]
}

// setVersion adds the version to images without one.
func setVersion(deployment *unstructured.Unstructured, version string) {
	GinkgoHelper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	Expect(err).NotTo(HaveOccurred())
	for _, container := range containers {
		if image := container.(map[string]any)["image"].(string); !strings.Contains(image, ":") {
			container.(map[string]any)["image"] = image + ":" + version
		}
	}
	Expect(unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers")).To(Succeed())
}

// newCertificate creates a self-signed certificate of the Argo server and its key.
func newCertificate() (certificate, key []byte) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	Expect(err).NotTo(HaveOccurred())
	encoded, err := x509.MarshalECPrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}
