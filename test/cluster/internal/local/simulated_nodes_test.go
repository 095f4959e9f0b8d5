package local

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd/api"
)

// kwokStage contains the tested fields of a Stage of KWOK.
type kwokStage struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		ResourceRef struct{ Kind string }
		Selector    struct {
			MatchExpressions []struct {
				Key, Operator string
				Values        []string
			}
		}
		Delay struct{ DurationMilliseconds int }
		Next  struct {
			StatusTemplate string
			Delete         bool
		}
	}
}

func readStages(t *testing.T) map[string]kwokStage {
	t.Helper()
	all := map[string]kwokStage{}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stages), 4096)
	for {
		var read kwokStage
		err := documents.Decode(&read)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch read.Kind {
		case "KwokConfiguration":
		case "Stage":
			all[read.Metadata.Name] = read
		default:
			t.Errorf("%+v is not a Stage", read)
		}
	}
}

// owners are the owner kinds of the pods that a stage selects. It is empty for all pods.
func (s kwokStage) owners() []string {
	for _, expression := range s.Spec.Selector.MatchExpressions {
		if expression.Key == ".metadata.ownerReferences.[].kind" && expression.Operator == "In" {
			return expression.Values
		}
	}
	return nil
}

func TestStagesEndOnlyPodsOfWorkflows(t *testing.T) {
	for name, read := range readStages(t) {
		if read.Spec.ResourceRef.Kind != "Pod" || !strings.Contains(read.Spec.Next.StatusTemplate, "phase: Succeeded") {
			continue
		}
		if diff := cmp.Diff([]string{"Workflow"}, read.owners()); diff != "" {
			t.Errorf("%s also ends other pods, so that no Deployment becomes available (-want +got):\n%s", name, diff)
		}
	}
	ends := readStages(t)["step-ends-well"]
	if ends.Spec.Delay.DurationMilliseconds != 1000 {
		t.Errorf("a step ends after %d ms, want one second, as messages and documents say", ends.Spec.Delay.DurationMilliseconds)
	}
	// With the exit code of the container "main", Argo waits for outputs.
	if !strings.Contains(ends.Spec.Next.StatusTemplate, `if ne .name "main"`) {
		t.Error("the stage sets the state of the container main")
	}
}

func TestStagesOfNodesAndOtherPods(t *testing.T) {
	read := readStages(t)
	for name, kind := range map[string]string{"node-gets-ready": "Node", "pod-runs": "Pod", "pod-goes": "Pod"} {
		if read[name].Spec.ResourceRef.Kind != kind || len(read[name].owners()) != 0 {
			t.Errorf("stage %s is for %s of %v, want all of %s", name, read[name].Spec.ResourceRef.Kind, read[name].owners(), kind)
		}
	}
	if !read["pod-goes"].Spec.Next.Delete || !strings.Contains(read["pod-runs"].Spec.Next.StatusTemplate, `type: Ready, status: "True"`) {
		t.Error("pods do not become ready, or are not deleted")
	}
}

func TestDescribeSimulated(t *testing.T) {
	got := describeSimulated()
	if got.Labels[SimulatedLabel] != "true" || !strings.Contains(got.Annotations[SimulatedLabel], "do nothing") || got.Name != "simulated" {
		t.Errorf("%+v does not say that it is simulated", got.ObjectMeta)
	}
}

func TestFreePorts(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 || ports[0] == 0 {
		t.Errorf("freePorts() = %v, want 20 different ones", ports)
	}
}

func TestArgumentsOnLoopback(t *testing.T) {
	cluster := newLayout("/cache/clusters", "wfe-1")
	simulated := endpoints{advertised: netip.MustParseAddr("192.0.2.1"), port: 40443, etcd: 40001, etcdPeer: 40002, onLoopback: true}
	real := endpoints{advertised: netip.MustParseAddr("198.18.0.2"), port: 443, etcd: 2379, etcdPeer: 2380}
	for name, test := range map[string]struct {
		arguments   []string
		want, never []string
	}{
		"etcd": {etcdArguments(cluster, simulated, false), []string{"--listen-client-urls=https://127.0.0.1:40001", "--listen-peer-urls=https://127.0.0.1:40002"}, nil},
		"API server": {
			apiServerArguments(cluster, simulated, ""), []string{"--bind-address=127.0.0.1", "--secure-port=40443", "--etcd-servers=https://127.0.0.1:40001"}, nil,
		},
		"a real API server": {apiServerArguments(cluster, real, ""), []string{"--secure-port=443"}, []string{"--bind-address=127.0.0.1"}},
		"controllers":       {controllerManagerArguments(cluster, simulated), []string{"--secure-port=0"}, nil},
		"scheduler":         {schedulerArguments(cluster, simulated), []string{"--secure-port=0"}, nil},
		"a real scheduler":  {schedulerArguments(cluster, real), nil, []string{"--secure-port=0"}},
	} {
		for _, want := range test.want {
			if !slices.Contains(test.arguments, want) {
				t.Errorf("%s lacks %s: %v", name, want, test.arguments)
			}
		}
		for _, never := range test.never {
			if slices.Contains(test.arguments, never) {
				t.Errorf("%s has %s", name, never)
			}
		}
	}
}

func TestActAs(t *testing.T) {
	config := &api.Config{
		AuthInfos: map[string]*api.AuthInfo{"kubernetes-admin": {}},
		Contexts:  map[string]*api.Context{"kubernetes-admin@wfe-1": {}},
	}
	actAs(config, "argo", "runner")
	if got := config.AuthInfos["kubernetes-admin"].Impersonate; got != "system:serviceaccount:argo:runner" {
		t.Errorf("the user is %q", got)
	}
	if got := config.Contexts["kubernetes-admin@wfe-1"].Namespace; got != "argo" {
		t.Errorf("the namespace is %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	s := &starter{cluster: newLayout("/cache/clusters", "wfe-1")}
	got := s.environment(Program{Name: "manager"}, corev1.Container{Env: []corev1.EnvVar{
		{Name: "A", Value: "1"},
		{Name: "POD", ValueFrom: &corev1.EnvVarSource{}},
	}})
	if diff := cmp.Diff([]string{"KUBECONFIG=/cache/clusters/wfe-1/credentials/manager.conf", "A=1"}, got); diff != "" {
		t.Errorf("environment() (-want +got):\n%s", diff)
	}
}

func TestLoadOnSimulatedNodes(t *testing.T) {
	parent := t.TempDir()
	cluster := newLayout(parent, "wfe-1")
	if err := cluster.makeFolders(); err != nil {
		t.Fatal(err)
	}
	recorded := record{Simulated: true, Processes: []recordedProcess{{Name: "etcd", PID: 1}}}
	if err := recorded.write(cluster.record()); err != nil {
		t.Fatal(err)
	}
	if names, err := Load(t.Context(), parent, "wfe-1", []string{"/no/such/archive"}); err != nil || len(names) != 0 {
		t.Errorf("Load() = %v, %v, want no images and no error", names, err)
	}
	if _, err := Load(t.Context(), parent, "wfe-2", []string{"/no/such/archive"}); err == nil {
		t.Error("Load() succeeds although no cluster is running")
	}
}
