package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// pod returns the environment of a step, with a temporary directory in place of the paths in a pod.
func pod(t *testing.T, variables map[string]string) (Environment, *bytes.Buffer, string) {
	t.Helper()
	dir := t.TempDir()
	variables[VariableOutputs] = filepath.Join(dir, "outputs")
	variables[VariableTerminationLog] = filepath.Join(dir, "termination")
	var log bytes.Buffer
	return Environment{
		Lookup:  func(name string) string { return variables[name] },
		Stdout:  &log,
		Connect: func(*slog.Logger) (*Clients, error) { return &Clients{}, nil },
	}, &log, dir
}

func echo() Action {
	return Action{
		Name: "echo",
		Parameters: []Parameter{
			{Name: "file-content", Base64: true},
			{Name: "mode", Default: "fast", Enum: []string{"fast", "slow"}},
			{Name: "count", Required: true, Check: NonNegative},
		},
		Outputs: []Output{{Name: "file", Base64: true}, {Name: "mode"}},
		Run: func(_ context.Context, s *Step) error {
			return errors.Join(s.Output("file", s.String("file-content")), s.Output("mode", s.String("mode")+"\n  lane"))
		},
	}
}

func TestParametersAndOutputs(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason    string
		variables map[string]string
		args      []string
		exit      int
		outputs   map[string]string
		message   string
	}{
		"Defaults": {
			reason:    "an empty variable is a parameter that is not given, and outputs are one line",
			variables: map[string]string{"PARAM_COUNT": "1", "PARAM_MODE": ""},
			outputs:   map[string]string{"file": "", "mode": "fast lane"},
		},
		"Base64": {
			reason:    "declared parameters are decoded, declared outputs encoded",
			variables: map[string]string{"PARAM_COUNT": "1", "PARAM_FILE_CONTENT": "YQpiCg=="},
			outputs:   map[string]string{"file": "YQpiCg==", "mode": "fast lane"},
		},
		"AllProblemsAtOnce": {
			reason:    "one attempt reports all problems",
			variables: map[string]string{"PARAM_FILE_CONTENT": "%", "PARAM_MODE": "warp"},
			exit:      ExitNever,
			message:   `parameter file-content is declared as base64 but cannot be decoded: illegal base64 data at input byte 0; parameter mode is "warp", but must be one of fast, slow; parameter count is required`,
		},
		"UnknownAction": {
			reason: "the image is older than the catalog", args: []string{"dance"}, exit: ExitNever, message: `unknown command "dance" for "action"`,
		},
		"Argument": {
			reason: "a value must never be a command-line argument", args: []string{"echo", "--count=1"}, exit: ExitNever, message: "parameters are environment variables, not arguments",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.variables == nil {
				c.variables = map[string]string{}
			}
			if c.args == nil {
				c.args = []string{"echo"}
			}
			env, _, dir := pod(t, c.variables)
			if exit := Main(t.Context(), env, []Action{echo()}, c.args); exit != c.exit {
				t.Errorf("%s\nexit code %d, want %d", c.reason, exit, c.exit)
			}
			var outputs map[string]string
			for name := range c.outputs {
				content, err := os.ReadFile(filepath.Join(dir, "outputs", name))
				if err != nil {
					t.Fatal(err)
				}
				if outputs == nil {
					outputs = map[string]string{}
				}
				outputs[name] = string(content)
			}
			if diff := cmp.Diff(c.outputs, outputs); diff != "" {
				t.Errorf("%s\noutputs (-want +got):\n%s", c.reason, diff)
			}
			message, _ := os.ReadFile(filepath.Join(dir, "termination"))
			var parsed struct{ Message string }
			if len(message) > 0 && json.Unmarshal(message, &parsed) != nil {
				t.Fatalf("%s\nno JSON: %s", c.reason, message)
			}
			if !strings.Contains(parsed.Message, c.message) || c.message == "" != (parsed.Message == "") {
				t.Errorf("%s\nmessage %q, want %q", c.reason, parsed.Message, c.message)
			}
		})
	}
}

func TestUndeclaredOutput(t *testing.T) {
	t.Parallel()
	env, _, _ := pod(t, map[string]string{})
	action := Action{Name: "careless", Run: func(_ context.Context, s *Step) error { return s.Changed(true) }}
	if exit := Run(t.Context(), env, action); exit != ExitRetry {
		t.Errorf("an output that no template declares must fail the action; exit code %d", exit)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "apps", Resource: "deployments"}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	cases := map[string]struct {
		reason string
		ctx    context.Context
		err    error
		want   string
	}{
		"Forbidden":       {"403 never works", t.Context(), fmt.Errorf("changing: %w", apierrors.NewForbidden(resource, "x", errors.New("no"))), "Forbidden 64"},
		"ForbiddenNodes":  {"a RoleBinding would not be enough", t.Context(), apierrors.NewForbidden(resource, "x", errors.New("cannot patch")), "Forbidden 64"},
		"NotFound":        {"404 never works", t.Context(), apierrors.NewNotFound(resource, "x"), "ActionFailed 64"},
		"Invalid":         {"422 is a bad value", t.Context(), apierrors.NewInvalid(schema.GroupKind{Kind: "Deployment"}, "x", nil), "InvalidSpec 64"},
		"BadRequest":      {"400 is a bad value", t.Context(), apierrors.NewBadRequest("bad"), "InvalidSpec 64"},
		"TooMany":         {"429 may pass", t.Context(), apierrors.NewTooManyRequests("slow", 1), "ActionFailed 1"},
		"Internal":        {"500 may pass", t.Context(), apierrors.NewInternalError(errors.New("oops")), "ActionFailed 1"},
		"Unknown":         {"anything else may pass", t.Context(), errors.New("oops"), "ActionFailed 1"},
		"OwnFailure":      {"the action's own failure is kept", t.Context(), fmt.Errorf("x: %w", TimedOut("late")), "DeadlineExceeded 1"},
		"Stopped":         {"a signal has an exit code of its own", stopped, context.Canceled, "ActionFailed 143"},
		"FailureAtSignal": {"a permanent failure stays one", stopped, Invalid("bad"), "InvalidSpec 64"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := explain(c.ctx, echo(), c.err)
			if got := fmt.Sprintf("%s %d", f.Reason, f.Code); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestTerminationMessageIsBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Short": "not found", "Long": strings.Repeat("x", 5000), "Escaped": strings.Repeat(`"`, 5000), "Wide": strings.Repeat("ü€", 2000), "Control": strings.Repeat("\x01", 3000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := terminationMessage(Failed("%s", text))
			var parsed struct{ Reason, Message string }
			if err := json.Unmarshal(out, &parsed); err != nil {
				t.Fatalf("not JSON: %v", err)
			}
			if len(out) > maxMessageBytes || !utf8.ValidString(parsed.Message) || !strings.HasPrefix(text, parsed.Message) || parsed.Message == "" {
				t.Errorf("%d bytes, message %q", len(out), parsed.Message)
			}
		})
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	object := &metav1.ObjectMeta{}
	write := func(step string, previous map[string]string) {
		s := &Step{Identity: Identity{Run: "run", Step: step, Action: "scale"}}
		annotations, err := s.RecordAnnotation(object, previous)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range annotations {
			metav1.SetMetaDataAnnotation(object, k, v)
		}
	}
	for i := range 20 {
		write(fmt.Sprintf("step-%d", i), map[string]string{"replicas": fmt.Sprint(i)})
	}
	write("step-19", map[string]string{"replicas": "again"})
	if n := len(readRecords(object)); n != maxRecords {
		t.Errorf("the annotation holds %d records, want %d", n, maxRecords)
	}
	last := &Step{Identity: Identity{Run: "run", Step: "step-19", Action: "scale"}}
	if got, ok := last.Recorded(object); !ok || got["replicas"] != "19" {
		t.Errorf("the first record of a step stays: %v %v", got, ok)
	}
	if _, ok := (&Step{Identity: Identity{Run: "run", Step: "step-19", Action: "restart"}}).Recorded(object); ok {
		t.Error("another action is another identity")
	}
	byHand := &Step{Identity: Identity{Step: "step-19", Action: "scale"}}
	if annotations, _ := byHand.RecordAnnotation(object, nil); annotations != nil {
		t.Error("outside a Workflow no record is written")
	}
	object.Annotations[AnnotationLastActions] = "{broken"
	write("step-20", nil)
	if n := len(readRecords(object)); n != 1 {
		t.Errorf("a broken annotation is replaced, got %d records", n)
	}
}
