package contract

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Clients holds the clients of an action.
type Clients struct {
	// Kube serves the kinds of Kubernetes.
	Kube kubernetes.Interface
	// Dynamic serves any kind.
	Dynamic dynamic.Interface
	// Mapper maps a kind to its resource.
	Mapper meta.RESTMapper
}

// Step is one attempt of one step, and everything that an action can use.
type Step struct {
	*Clients
	// Namespace is the namespace of the step and of its objects.
	Namespace string
	// Pod is the name of the pod that the step runs in, empty outside a pod.
	Pod string
	// Workflow is the name of the Workflow that the step belongs to, empty outside of one.
	Workflow string
	// Identity is the same in each attempt of the step.
	Identity Identity
	// DryRun is true when the step must change nothing. It then waits for nothing either.
	DryRun bool
	// Wait bounds how long the action waits for its effect; 0 does not wait.
	Wait time.Duration
	// Log receives one line for each change and each new state of a wait.
	Log *slog.Logger
	// Backoff paces the retries of a request that failed with a transient error.
	Backoff Backoff

	action     Action
	parameters map[string]string
	outputs    map[string]string
	directory  string
}

// String returns the value of a parameter, decoded when the parameter is declared so.
func (s *Step) String(parameter string) string { return s.parameters[parameter] }

// Bool returns the value of a parameter that is "true" or "false".
func (s *Step) Bool(parameter string) bool { return s.parameters[parameter] == "true" }

// Int returns the value of a parameter that NonNegative has checked, 0 if it is empty.
func (s *Step) Int(parameter string) int32 {
	n, err := strconv.ParseInt(s.parameters[parameter], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// Seconds returns the value of a parameter that counts seconds.
func (s *Step) Seconds(parameter string) time.Duration {
	return time.Duration(s.Int(parameter)) * time.Second
}

// DryRunOption returns the dryRun option that every write must use.
func (s *Step) DryRunOption() []string {
	if s.DryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Output provides a value to later steps. It is written immediately, so that it exists even if the step fails later.
func (s *Step) Output(name, value string) error {
	declared := false
	for _, o := range s.action.Outputs {
		if o.Name != name {
			continue
		}
		declared = true
		if o.Base64 {
			value = base64.StdEncoding.EncodeToString([]byte(value))
		}
	}
	if !declared {
		return fmt.Errorf("action %s declares no output %s", s.action.Name, name)
	}
	value = strings.Join(strings.Fields(value), " ")
	if err := os.MkdirAll(s.directory, 0o755); err != nil {
		return fmt.Errorf("creating the directory of outputs: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.directory, name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("writing output %s: %w", name, err)
	}
	s.outputs[name] = value
	return nil
}

// Changed writes the output OutputChanged.
func (s *Step) Changed(changed bool) error {
	return s.Output(OutputChanged, strconv.FormatBool(changed))
}

// Previous writes the state before the step, one output for each entry, named with the prefix "previous-".
func (s *Step) Previous(previous map[string]string) error {
	for _, o := range s.action.Outputs {
		name, ok := strings.CutPrefix(o.Name, "previous-")
		if !ok {
			continue
		}
		if err := s.Output(o.Name, previous[name]); err != nil {
			return err
		}
	}
	return nil
}
