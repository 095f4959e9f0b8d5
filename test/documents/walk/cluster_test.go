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

// patience bounds one command of a document.
const patience = 6 * time.Minute

// world is the repository and a cluster.
type world struct {
	root    string
	cluster *testutil.Cluster
}

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, variable := range []string{"KUBECONFIG", "KUBECTL"} {
		if os.Getenv(variable) == "" {
			t.Fatalf("%s is not set; make test-documents sees to it", variable)
		}
	}
	root, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	// Namespaces are deleted here that could be somebody's.
	if ours := filepath.Join(root, ".cluster") + string(filepath.Separator); !strings.HasPrefix(os.Getenv("KUBECONFIG"), ours) {
		t.Fatalf("KUBECONFIG is %s: documents are tried on a cluster of this checkout only", os.Getenv("KUBECONFIG"))
	}
	cluster, err := testutil.Connect()
	if err != nil {
		t.Fatal(err)
	}
	return &world{root: root, cluster: cluster}
}

// shell runs a script in the repository's folder, as somebody with the built programs on the PATH, and returns what it
// prints and its exit code.
func (w *world) shell(t *testing.T, mode documents.Mode, script string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience) // also in clean-ups
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Stdout, command.Stderr = w.root, &stdout, &stderr
	command.Env = append(os.Environ(), "PATH="+filepath.Join(w.root, "bin")+":"+os.Getenv("PATH"))
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

// must runs a script that has to succeed.
func (w *world) must(t *testing.T, script string) {
	t.Helper()
	if _, code := w.shell(t, documents.Cluster, script); code != 0 {
		t.Fatalf("exit code %d", code)
	}
}

// bring puts the cluster into the state that a block needs.
func (w *world) bring(t *testing.T, mode documents.Mode) {
	t.Helper()
	_, code := w.shell(t, documents.Cluster, "kubectl get -n "+testutil.SystemNamespace+" deployment controller -o name")
	switch isThere := code == 0; {
	case mode == documents.Cluster && !isThere:
		w.install(t)
	case mode == documents.BareCluster && isThere:
		w.must(t, remove)
	}
}

// remove also removes what Helm installed, in Helm's own way.
const remove = `
config/default/uninstall.sh --executions
helm uninstall --ignore-not-found workflowexecution -n ` + testutil.SystemNamespace + ` --wait
config/default/uninstall.sh
kubectl delete --ignore-not-found namespace ` + testutil.SystemNamespace + `
`

func (w *world) install(t *testing.T) {
	t.Helper()
	w.must(t, "kubectl apply --server-side -k bin/installation && kubectl -n "+testutil.SystemNamespace+" rollout status deployment/controller --timeout=120s")
}

// everything is the name of every object of the cluster, but for those that come and go by themselves.
func (w *world) everything(t *testing.T) []string {
	t.Helper()
	client, err := metadata.NewForConfig(w.cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := w.cluster.Clientset.Discovery().ServerPreferredResources()
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
				// Argo's controller is restarted for its settings, and gets another ReplicaSet and pod.
				if object := &objects.Items[i]; object.Namespace != "argo" {
					names = append(names, fmt.Sprintf("%s.%s %s/%s", kind.Name, version.Group, object.Namespace, object.Name))
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// expectNothingLeft compares with what was there before anything was installed. Objects that others delete take a moment.
func (w *world) expectNothingLeft(t *testing.T, before []string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		left := slices.DeleteFunc(w.everything(t), func(name string) bool { return slices.Contains(before, name) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the uninstallation left\n%s", strings.Join(left, "\n"))
		}
		<-time.After(time.Second)
	}
}
