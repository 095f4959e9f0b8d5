package command

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// result is what a run of the program left behind.
type result struct {
	out, err string
	code     int
}

// buffer can be read while the program writes.
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

// run runs the program, as kubectl does.
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

// check holds a run to its exit code, to what its output has, and to one line on the error stream that has wantErr, or
// to none when that is empty.
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
		t.Errorf("an error is one line: %s", r.err)
	}
}
