package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// guarded is the label of the namespaces to which the attacks bind config/policy. It would refuse what other specs do.
const guarded = "test.workflowexecution.kubernaut.io/guarded"

// user is a service account with a token. It has no rights except those that a spec grants.
type user struct {
	client.Client
	name      string // the name of the API server's user
	namespace string
	config    *rest.Config
}

// newUser creates a user with ClusterRoles in a namespace.
func newUser(ctx context.Context, namespace, name string, roles ...string) *user {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(cluster.Create(ctx, account)).To(Succeed())
	for _, role := range roles {
		bind(ctx, namespace, name, "ClusterRole", role)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}}
	answer, err := cluster.Clientset.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken, config.QPS = answer.Status.Token, -1
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme(), Mapper: cluster.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return &user{Client: c, name: "system:serviceaccount:" + namespace + ":" + name, namespace: namespace, config: config}
}

func bind(ctx context.Context, namespace, account, kind, role string) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: account + "-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	})).To(Succeed())
}

// grantRules grants a service account rights in a namespace.
func grantRules(ctx context.Context, namespace, account string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: account + "-"}, Rules: rules}
	Expect(cluster.Create(ctx, role)).To(Succeed())
	bind(ctx, namespace, account, "Role", role.Name)
}

// installPolicies installs config/policy for the namespaces with the label guarded, and deletes it after the current specs.
func installPolicies(ctx context.Context) {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(root, "config", "policy", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var policies []*unstructured.Unstructured
	for _, file := range files {
		relative, err := filepath.Rel(root, file)
		Expect(err).NotTo(HaveOccurred())
		for _, object := range manifests(relative) {
			if object.GetKind() == "ValidatingAdmissionPolicyBinding" {
				Expect(unstructured.SetNestedField(object.Object, "yes", "spec", "matchResources", "namespaceSelector", "matchLabels", guarded)).To(Succeed())
			}
			if object.GetKind() != "Kustomization" {
				policies = append(policies, object)
			}
		}
	}
	DeferCleanup(func(ctx SpecContext) {
		for _, object := range policies {
			Expect(client.IgnoreNotFound(cluster.Delete(ctx, object))).To(Succeed())
		}
	})
	Expect(cluster.Apply(ctx, policies...)).To(Succeed())
	expectNoWarnings(ctx, policies)
}

// expectNoWarnings waits until the API server has checked the types in the policies' expressions.
func expectNoWarnings(ctx context.Context, policies []*unstructured.Unstructured) {
	GinkgoHelper()
	for _, policy := range policies {
		if policy.GetKind() != "ValidatingAdmissionPolicy" {
			continue
		}
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
			status, found, err := unstructured.NestedMap(policy.Object, "status", "typeChecking")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found).To(BeTrue(), "not checked yet")
			g.Expect(status).To(BeEmpty(), "warnings of %s", policy.GetName())
		}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
	}
}

// expectRefused checks that an attempt is forbidden with a message. The API server enforces a new policy after a moment, so this
// repeats a dry run first.
func expectRefused(ctx context.Context, u *user, attempt func(client.Client) error, why string) {
	GinkgoHelper()
	Eventually(func() error { return attempt(client.NewDryRunClient(u.Client)) }).WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(pollEvery).
		Should(MatchError(apierrors.IsForbidden, "IsForbidden"))
	err := attempt(u.Client)
	Expect(err).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
	Expect(err).To(MatchError(ContainSubstring(why)))
}

// merge is an attempt to apply a merge patch to an object.
func merge(object client.Object, patch string) func(client.Client) error {
	return func(c client.Client) error {
		return c.Patch(context.Background(), object.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

func creating(object client.Object) func(client.Client) error {
	return func(c client.Client) error {
		return c.Create(context.Background(), object.DeepCopyObject().(client.Object))
	}
}

// wfe runs the plugin as this user.
func (u *user) wfe(ctx context.Context, args ...string) (string, error) {
	GinkgoHelper()
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["c"] = &clientcmdapi.Cluster{
		Server: u.config.Host, CertificateAuthorityData: u.config.CAData, CertificateAuthority: u.config.CAFile, TLSServerName: u.config.ServerName,
	}
	kubeconfig.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: u.config.BearerToken}
	kubeconfig.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: u.namespace}
	kubeconfig.CurrentContext = "x"
	file := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*kubeconfig, file)).To(Succeed())
	plugin := filepath.Join(root, "bin", "kubectl-wfe")
	Expect(plugin).To(BeAnExistingFile(), "run make build")
	command := exec.CommandContext(ctx, plugin, append(args, "--kubeconfig", file)...)
	command.Env = append(os.Environ(), "KUBECONFIG=")
	output, err := command.CombinedOutput()
	return string(output), err
}

// plainWorkflow is a Workflow without an execution.
func plainWorkflow(namespace, name string) *wfv1.Workflow {
	return &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       wfv1.WorkflowSpec{Entrypoint: "main", Templates: []wfv1.Template{{Name: "main", Suspend: &wfv1.SuspendTemplate{}}}},
	}
}

// argoEditor has the rules of Argo's own editor role.
var argoEditor = rbacv1.PolicyRule{
	APIGroups: []string{"argoproj.io"}, Resources: []string{"workflows", "workflowtemplates", "workflows/finalizers"}, Verbs: []string{"*"},
}

// writeStatus is the right to write the status of executions, which no user role of this repository grants.
var writeStatus = rbacv1.PolicyRule{APIGroups: []string{wfev1.GroupVersion.Group}, Resources: []string{"workflowexecutions/status"}, Verbs: []string{"patch", "update"}}
