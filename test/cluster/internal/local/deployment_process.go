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

// Program is a Deployment that runs as a process of a simulated cluster, in place of its pods: with the arguments and variables of the
// Deployment, and the rights of its service account.
type Program struct {
	// Name is the name of the component.
	Name string
	// Executable is copied to the folder of the cluster.
	Executable Executable
	// Namespace and Deployment identify the Deployment.
	Namespace, Deployment string
	// Arguments returns arguments in addition to those of the Deployment, given an address that the program may listen on.
	Arguments func(address string) []string
	// ReadyPath is a path at that address that answers when the program is ready. It may be empty.
	ReadyPath string
}

// Run starts or restarts a program on the running cluster, which must be simulated.
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
		return fmt.Errorf("run %s as a process: no simulated cluster %s is running", program.Name, options.Name)
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

// endProgram ends a component, and removes it from the record.
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

// end lets a process release its lease, for which its successor would wait otherwise. It kills the process after a timeout.
func (s *starter) end(ctx context.Context, known recordedProcess) error {
	const timeout = 10 * time.Second
	for deadline, signal := time.Now().Add(timeout), unix.SIGTERM; s.record.isRunning(known); {
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

// startProgram scales the Deployment to zero, because a simulated pod would be Running whether the process runs or not.
func (s *starter) startProgram(ctx context.Context, program Program) error {
	container, account, err := s.scaleToZero(ctx, program)
	if err != nil {
		return fmt.Errorf("run %s as a process: %w", program.Name, err)
	}
	if err := s.impersonate(program, account); err != nil {
		return fmt.Errorf("run %s as a process: %w", program.Name, err)
	}
	target := s.cluster.executable(program.Name)
	// The process runs from a copy, so that a build can replace the program while it runs.
	if err := errors.Join(os.RemoveAll(target), copyExecutable(program.Executable.File, target)); err != nil {
		return fmt.Errorf("install %s: %w", program.Name, err)
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
	return s.waitUntil(ctx, program.Name+" is ready", func(ctx context.Context) error { return checkAnswer(ctx, "http://"+address+program.ReadyPath) })
}

// scaleToZero scales the Deployment to zero, and returns the container and the service account of its pods.
func (s *starter) scaleToZero(ctx context.Context, program Program) (container corev1.Container, account string, err error) {
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
		// Variables from other sources describe the pod, which does not exist.
		if variable.ValueFrom == nil {
			environment = append(environment, variable.Name+"="+variable.Value)
		}
	}
	return environment
}

// impersonate writes a kubeconfig that impersonates a service account. It has exactly the rights of that account, and does not expire.
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

func checkAnswer(ctx context.Context, url string) error {
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
