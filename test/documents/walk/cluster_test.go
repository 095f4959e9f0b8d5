package walk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/kubernaut-io/workflowexecution/test/documents"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// commandTimeout bounds one command of a document.
const commandTimeout = 6 * time.Minute

// fixture is the repository and a cluster.
type fixture struct {
	root    string
	cluster *testutil.Cluster
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	for _, variable := range []string{"KUBECONFIG", "KUBECTL"} {
		if os.Getenv(variable) == "" {
			t.Fatalf("%s is not set: run make test-documents", variable)
		}
	}
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	// The test deletes namespaces, which on another cluster could be in use.
	if ours := filepath.Join(root, ".cluster") + string(filepath.Separator); !strings.HasPrefix(os.Getenv("KUBECONFIG"), ours) {
		t.Fatalf("KUBECONFIG is %s: the documents are tested on a cluster of this checkout only", os.Getenv("KUBECONFIG"))
	}
	cluster, err := testutil.Connect()
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{root: root, cluster: cluster}
}

// shell runs a script in the repository's folder, with the built programs on the PATH, and returns its output and its exit
// code.
func (f *fixture) shell(t *testing.T, mode documents.Mode, script string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandTimeout) // also in clean-ups
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Stdout, command.Stderr = f.root, &stdout, &stderr
	command.Env = append(os.Environ(), "PATH="+filepath.Join(f.root, "bin")+":"+os.Getenv("PATH"))
	if mode == documents.Offline {
		command.Env = append(command.Env, "KUBECONFIG="+os.DevNull)
	}
	err := command.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatalf("%s: %v", script, err)
	}
	t.Logf("$ %s\n%s%s", script, &stdout, &stderr)
	return stdout.String(), command.ProcessState.ExitCode()
}

// must runs a script and fails the test unless it succeeds.
func (f *fixture) must(t *testing.T, script string) {
	t.Helper()
	if _, code := f.shell(t, documents.Cluster, script); code != 0 {
		t.Fatalf("exit code %d", code)
	}
}

// prepareFor installs or removes the controller, as a block needs it.
func (f *fixture) prepareFor(t *testing.T, mode documents.Mode) {
	t.Helper()
	_, code := f.shell(t, documents.Cluster, "kubectl get -n "+testutil.SystemNamespace+" deployment controller -o name")
	switch isInstalled := code == 0; {
	case mode == documents.Cluster && !isInstalled:
		f.install(t)
	case mode == documents.BareCluster && isInstalled:
		f.must(t, remove)
	}
}

// remove also removes what Helm installed, in Helm's own way.
const remove = `
config/default/uninstall.sh --executions
helm uninstall --ignore-not-found workflowexecution -n ` + testutil.SystemNamespace + ` --wait
config/default/uninstall.sh
kubectl delete --ignore-not-found namespace ` + testutil.SystemNamespace + `
`

func (f *fixture) install(t *testing.T) {
	t.Helper()
	f.must(t, "kubectl apply --server-side -k bin/installation && kubectl -n "+testutil.SystemNamespace+" rollout status deployment/controller --timeout=120s")
}

// everything lists the name of every object in the cluster, except events and leases.
func (f *fixture) everything(t *testing.T) []string {
	t.Helper()
	client, err := metadata.NewForConfig(f.cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := f.cluster.Clientset.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "create"}}, lists)
	var names []string
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range list.APIResources {
			if slices.Contains([]string{"events", "leases"}, kind.Name) {
				continue
			}
			objects, err := client.Resource(version.WithResource(kind.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatalf("list %s: %v", kind.Name, err)
			}
			for i := range objects.Items {
				// New settings restart Argo's controller, which gets another ReplicaSet and pod.
				if object := &objects.Items[i]; object.Namespace != "argo" {
					names = append(names, fmt.Sprintf("%s.%s %s/%s", kind.Name, version.Group, object.Namespace, object.Name))
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// expectNothingLeft compares the cluster with its state before the installation. Garbage collection takes a moment.
func (f *fixture) expectNothingLeft(t *testing.T, before []string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		left := slices.DeleteFunc(f.everything(t), func(name string) bool { return slices.Contains(before, name) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the uninstallation left\n%s", strings.Join(left, "\n"))
		}
		<-time.After(time.Second)
	}
}
