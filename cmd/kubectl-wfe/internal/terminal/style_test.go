package terminal

import (
	"bytes"
	"os"
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestPainter(t *testing.T) {
	t.Parallel()
	if got := Color.Phase("Failed", "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("colored: %q", got)
	}
	if got := (Style{}).Phase("Failed", "x") + (Style{}).Bold("y") + Color.Faint(""); got != "xy" {
		t.Errorf("plain: %q", got)
	}
	for _, phase := range wfev1.Phases {
		if Color.Phase(string(phase), "x") == "x" {
			t.Errorf("%s has no color", phase)
		}
	}
}

func TestOnlyATerminalIsColored(t *testing.T) {
	t.Parallel()
	xterm := func(name string) string { return map[string]string{"TERM": "xterm"}[name] }
	if got := StyleFor(&bytes.Buffer{}, xterm); got != (Style{}) {
		t.Errorf("a buffer is colored: %+v", got)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if got := StyleFor(file, xterm); got != (Style{}) {
		t.Errorf("a file is colored: %+v", got)
	}
	if width, height := Size(file); width != 0 || height != 0 {
		t.Errorf("a file has the size %dx%d", width, height)
	}
}

// TestTerminal uses the primary end of a pseudo-terminal, which the kernel reports as a terminal.
func TestTerminal(t *testing.T) {
	t.Parallel()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	for name, test := range map[string]struct {
		variables map[string]string
		want      Style
	}{
		"Colors":         {map[string]string{"TERM": "xterm"}, Color},
		"NoColor":        {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, Style{}},
		"EmptyIsNotSet":  {map[string]string{"TERM": "xterm", "NO_COLOR": ""}, Color},
		"DumbTerminal":   {map[string]string{"TERM": "dumb"}, Style{}},
		"NoTerminalName": {nil, Style{}},
	} {
		if got := StyleFor(terminal, func(variable string) string { return test.variables[variable] }); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
