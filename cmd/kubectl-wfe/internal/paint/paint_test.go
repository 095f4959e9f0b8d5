package paint

import (
	"bytes"
	"os"
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestPainter(t *testing.T) {
	t.Parallel()
	if got := On.Phase("Failed", "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("coloured: %q", got)
	}
	if got := (Painter{}).Phase("Failed", "x") + (Painter{}).Bold("y") + On.Faint(""); got != "xy" {
		t.Errorf("plain: %q", got)
	}
	for _, phase := range wfev1.Phases {
		if On.Phase(string(phase), "x") == "x" {
			t.Errorf("%s has no colour", phase)
		}
	}
}

func TestOnlyATerminalIsColoured(t *testing.T) {
	t.Parallel()
	xterm := func(name string) string { return map[string]string{"TERM": "xterm"}[name] }
	if got := For(&bytes.Buffer{}, xterm); got != (Painter{}) {
		t.Errorf("a buffer is coloured: %+v", got)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if got := For(file, xterm); got != (Painter{}) {
		t.Errorf("a file is coloured: %+v", got)
	}
	if width, height := Size(file); width != 0 || height != 0 {
		t.Errorf("a file has the size %dx%d", width, height)
	}
}

// TestTerminal has the master of a pseudo-terminal, which answers as a terminal does.
func TestTerminal(t *testing.T) {
	t.Parallel()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	for name, test := range map[string]struct {
		variables map[string]string
		want      Painter
	}{
		"Colours":        {map[string]string{"TERM": "xterm"}, On},
		"NoColor":        {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, Painter{}},
		"EmptyIsNotSet":  {map[string]string{"TERM": "xterm", "NO_COLOR": ""}, On},
		"DumbTerminal":   {map[string]string{"TERM": "dumb"}, Painter{}},
		"NoTerminalName": {nil, Painter{}},
	} {
		if got := For(terminal, func(variable string) string { return test.variables[variable] }); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
