package contract

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// The environment variables that the templates set in addition to the parameters.
const (
	VariableStep        = "WFE_STEP"
	VariableWorkflowUID = "WFE_WORKFLOW_UID"
	VariableWorkflow    = "WFE_WORKFLOW"
	VariableNamespace   = "POD_NAMESPACE"
	VariablePod         = "POD_NAME"
	// VariableOutputs overrides the directory of outputs.
	VariableOutputs = "WFE_OUTPUTS"
	// VariableTerminationLog overrides the path of the termination message.
	VariableTerminationLog = "WFE_TERMINATION_LOG"
)

// The default paths, as the templates and the kubelet expect them.
const (
	OutputsDirectory   = "/wfe/outputs"
	TerminationLogPath = "/dev/termination-log"
)

// Environment holds what an action needs from its process.
type Environment struct {
	// Lookup returns the value of an environment variable, empty if it is not set.
	Lookup func(name string) string
	// Stdout receives the log.
	Stdout io.Writer
	// Connect makes the clients, which log the API server's warnings. It is called after the parameters were validated.
	Connect func(log *slog.Logger) (*Clients, error)
	// Backoff paces the retries of a request that failed with a transient error.
	Backoff Backoff
}

// DefaultBackoff retries for about half a minute, which is longer than an API server takes to restart.
func DefaultBackoff() Backoff {
	return Backoff{Initial: 250 * time.Millisecond, Max: 5 * time.Second, Limit: 30 * time.Second}
}

// Run runs an action and returns the exit code. If the action fails, Run also writes a termination message.
func Run(ctx context.Context, env Environment, action Action) int {
	log := slog.New(slog.NewJSONHandler(env.Stdout, nil)).With("action", action.Name)
	if step := env.Lookup(VariableStep); step != "" {
		log = log.With("step", step)
	}
	s, err := prepare(env, action, log)
	if err == nil {
		// client-go logs through klog; send its lines to the same handler.
		err = action.Run(klog.NewContext(ctx, logr.FromSlogHandler(log.Handler())), s)
	}
	if err == nil {
		log.Info("done", "dryRun", s.DryRun, "outputs", slices.Sorted(maps.Keys(s.outputs)))
		return ExitDone
	}
	return Report(ctx, env, action, err)
}

// Report writes the termination message and the last log line of a failed action, and returns its exit code.
func Report(ctx context.Context, env Environment, action Action, err error) int {
	log := slog.New(slog.NewJSONHandler(env.Stdout, nil)).With("action", action.Name)
	failure := explain(ctx, action, err)
	log.Error("failed", "reason", failure.Reason, "message", failure.Message, "exitCode", failure.Code)
	path := withDefault(env.Lookup(VariableTerminationLog), TerminationLogPath)
	if err := os.WriteFile(path, terminationMessage(failure), 0o644); err != nil {
		log.Error("the termination message could not be written", "error", err.Error())
	}
	return failure.Code
}

// prepare validates the parameters before it connects to the cluster.
func prepare(env Environment, action Action, log *slog.Logger) (*Step, error) {
	parameters, err := readParameters(env, action)
	if err != nil {
		return nil, err
	}
	s := &Step{
		Namespace:  withDefault(env.Lookup(VariableNamespace), "default"),
		Pod:        env.Lookup(VariablePod),
		Workflow:   env.Lookup(VariableWorkflow),
		Log:        log,
		Backoff:    env.Backoff,
		action:     action,
		parameters: parameters,
		outputs:    map[string]string{},
		directory:  withDefault(env.Lookup(VariableOutputs), OutputsDirectory),
	}
	s.DryRun = s.Bool(ParameterDryRun)
	s.Wait = s.Seconds(ParameterWaitSeconds)
	s.Identity = Identity{
		Run:    env.Lookup(VariableWorkflowUID),
		Step:   withDefault(env.Lookup(VariableStep), "parameters-"+hashParameters(action, parameters)),
		Action: action.Name,
	}
	s.Clients, err = env.Connect(log)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return s, nil
}

func readParameters(env Environment, action Action) (map[string]string, error) {
	values := map[string]string{}
	var problems []string
	for _, p := range action.Parameters {
		value, err := readParameter(env, p)
		if err != nil {
			problems = append(problems, fmt.Sprintf("parameter %s %s", p.Name, err))
		}
		values[p.Name] = value
	}
	if len(problems) > 0 {
		return nil, Invalid("%s", strings.Join(problems, "; "))
	}
	return values, nil
}

func readParameter(env Environment, p Parameter) (string, error) {
	value := env.Lookup(p.Variable())
	if value == "" && p.Required {
		return "", fmt.Errorf("is required")
	}
	if value == "" {
		return p.Default, nil
	}
	if p.Base64 {
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", fmt.Errorf("is declared as base64 but cannot be decoded: %w", err)
		}
		value = string(decoded)
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, value) {
		return "", fmt.Errorf("is %q, but must be one of %s", value, strings.Join(p.Enum, ", "))
	}
	if p.Check != nil {
		if err := p.Check(value); err != nil {
			return "", fmt.Errorf("is %q: %w", value, err)
		}
	}
	return value, nil
}

// hashParameters replaces the name of the step where the Workflow does not provide one.
func hashParameters(action Action, parameters map[string]string) string {
	hash := sha256.New()
	for _, p := range action.Parameters {
		_, _ = fmt.Fprintf(hash, "%s=%q\n", p.Name, parameters[p.Name])
	}
	return hex.EncodeToString(hash.Sum(nil)[:4])
}

func withDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
