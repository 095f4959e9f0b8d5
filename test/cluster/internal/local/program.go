package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// Program is what a Deployment would run. Where pods do nothing it is a process of the cluster: with the arguments and variables of the
// Deployment, the rights of its service account, and in place of its pods.
type Program struct {
	// Name is the component's name.
	Name string
	// Executable is copied to the cluster's folder.
	Executable Executable
	// Namespace and Deployment name the Deployment.
	Namespace, Deployment string
	// Arguments are added to those of the Deployment. They are given a free address of this machine.
	Arguments func(address string) []string
	// ReadyPath is asked at that address until it answers; empty for programs that can't be asked.
	ReadyPath string
}

// Run starts a program on the running cluster, which must be a simulated one, or starts it anew.
func Run(ctx context.Context, options Options, program Program) error {
	cluster := newLayout(options.Folder, options.Name)
	release, err := cluster.acquire(ctx, options.Progress)
	if err != nil {
		return err
	}
	defer release()
	recorded, err := readRecord(cluster.record())
	if err != nil {
		return err
	}
	if !recorded.Ready || !recorded.Simulated {
		return fmt.Errorf("run %s as a process: cluster %s is not a simulated one that runs", program.Name, options.Name)
	}
	s := &starter{cluster: cluster, record: &recorded}
	if err := s.endProgram(ctx, program.Name); err != nil {
		return err
	}
	if err := s.startProgram(ctx, program); err != nil {
		return s.explain(err)
	}
	recorded.Processes[len(recorded.Processes)-1].Added = true
	return recorded.write(cluster.record())
}

// endProgram ends what runs under a component's name, and forgets it.
func (s *starter) endProgram(ctx context.Context, component string) error {
	i := slices.IndexFunc(s.record.Processes, func(known recordedProcess) bool { return known.Name == component })
	if i < 0 {
		return nil
	}
	if err := s.end(ctx, s.record.Processes[i]); err != nil {
		return err
	}
	s.record.Processes = slices.Delete(s.record.Processes, i, i+1)
	return s.record.write(s.cluster.record())
}

// end lets a process give up its lease, which its successor would wait for. It kills it if it takes too long.
func (s *starter) end(ctx context.Context, known recordedProcess) error {
	const patience = 10 * time.Second
	for deadline, signal := time.Now().Add(patience), unix.SIGTERM; s.record.isRunning(known); {
		if time.Now().After(deadline) {
			signal = unix.SIGKILL
		}
		if err := process.Signal(process.Process{PID: known.PID, Started: known.Started}, signal); err != nil {
			return err
		}
		if err := pause(ctx, readyInterval); err != nil {
			return err
		}
	}
	return nil
}

// startProgram takes the Deployment's pods away, because a pod that is said to run would hide whether the process does.
func (s *starter) startProgram(ctx context.Context, program Program) error {
	container, account, err := s.emptyDeployment(ctx, program)
	if err != nil {
		return fmt.Errorf("run %s as a process: %w", program.Name, err)
	}
	if err := s.impersonate(program, account); err != nil {
		return fmt.Errorf("run %s as a process: %w", program.Name, err)
	}
	place := s.cluster.executable(program.Name)
	// A copy, and a new file: whoever builds the program again must neither hit the process nor be hindered by it.
	if err := errors.Join(os.RemoveAll(place), copyExecutable(program.Executable.File, place)); err != nil {
		return fmt.Errorf("place %s: %w", program.Name, err)
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	started, err := s.launch(program.Name, program.Name, s.environment(program, container),
		append(slices.Clone(container.Args), program.Arguments(address)...))
	if err != nil {
		return err
	}
	started.Version = program.Executable.Version
	s.record.Processes = append(s.record.Processes, started)
	if err := s.record.write(s.cluster.record()); err != nil {
		return err
	}
	if program.ReadyPath == "" {
		return nil
	}
	return s.waitUntil(ctx, program.Name+" is ready", func(ctx context.Context) error { return ask(ctx, "http://"+address+program.ReadyPath) })
}

// emptyDeployment lets a Deployment have no pods, and returns what they would run.
func (s *starter) emptyDeployment(ctx context.Context, program Program) (container corev1.Container, account string, err error) {
	client, err := newClient(s.cluster.credentials("admin"))
	if err != nil {
		return container, "", err
	}
	deployment, err := client.AppsV1().Deployments(program.Namespace).Patch(ctx, program.Deployment, types.MergePatchType,
		[]byte(`{"spec": {"replicas": 0}}`), metav1.PatchOptions{})
	if err != nil {
		return container, "", err
	}
	pod := deployment.Spec.Template.Spec
	return pod.Containers[0], pod.ServiceAccountName, nil
}

func (s *starter) environment(program Program, container corev1.Container) []string {
	environment := []string{"KUBECONFIG=" + s.cluster.credentials(program.Name)}
	for _, variable := range container.Env {
		// Those that come from elsewhere are about the pod, which there is not.
		if variable.ValueFrom == nil {
			environment = append(environment, variable.Name+"="+variable.Value)
		}
	}
	return environment
}

// impersonate writes a kubeconfig of a service account, which has that account's rights and no more, and does not expire.
func (s *starter) impersonate(program Program, account string) error {
	config, err := clientcmd.LoadFromFile(s.cluster.credentials("admin"))
	if err != nil {
		return err
	}
	actAs(config, program.Namespace, account)
	return clientcmd.WriteToFile(*config, s.cluster.credentials(program.Name))
}

func actAs(config *api.Config, namespace, account string) {
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + namespace + ":" + account
	}
	for _, known := range config.Contexts {
		known.Namespace = namespace
	}
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}
