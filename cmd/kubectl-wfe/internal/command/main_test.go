package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// result is the output and the exit code of a run.
type result struct {
	out, err string
	code     int
}

// buffer is safe for concurrent reads and writes.
type buffer struct {
	lock sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.data.String()
}

// streamsTo writes both outputs to one buffer.
func streamsTo(b *buffer) genericiooptions.IOStreams {
	return genericiooptions.IOStreams{In: strings.NewReader(""), Out: b, ErrOut: b}
}

// run runs the program like kubectl does.
func run(ctx context.Context, in string, args ...string) result {
	return runAs(ctx, "/usr/local/bin/kubectl-wfe", in, args...)
}

func runAs(ctx context.Context, program, in string, args ...string) result {
	var out, errOut buffer
	code := Main(ctx, Environment{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(in), Out: &out, ErrOut: &errOut},
		Lookup:  func(string) string { return "" },
		Now:     time.Now,
		Version: "v1.2.3",
	}, append([]string{program}, args...))
	return result{out: out.String(), err: errOut.String(), code: code}
}

// check verifies the exit code, that the output contains every wantOut, and that the error stream contains wantErr, in one
// line if it is an error. An empty wantErr means an empty error stream.
func (r result) check(t *testing.T, code int, wantErr string, wantOut ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d; output:\n%s%s", r.code, code, r.out, r.err)
	}
	for _, want := range wantOut {
		if !strings.Contains(r.out, want) {
			t.Errorf("the output has no %q:\n%s", want, r.out)
		}
	}
	switch {
	case wantErr == "" && r.err != "":
		t.Errorf("unexpected on the error stream: %s", r.err)
	case !strings.Contains(r.err, wantErr):
		t.Errorf("the error stream has no %q: %s", wantErr, r.err)
	case wantErr != "" && strings.HasPrefix(r.err, "error: ") && strings.Count(r.err, "\n") != 1:
		t.Errorf("the error has more than one line: %s", r.err)
	}
}

const samples = "../../../../config/samples/"

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
