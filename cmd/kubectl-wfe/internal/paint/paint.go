// Package paint colours words for a terminal, and for nothing else: what is piped into a file stays plain.
package paint

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Painter colours text, or leaves it as it is. The zero value leaves it.
type Painter struct{ on bool }

// On is a painter that colours.
var On = Painter{on: true}

// For is the painter for a stream: it colours on a terminal, unless the environment says NO_COLOR or that the terminal
// cannot.
func For(out io.Writer, lookup func(string) string) Painter {
	return Painter{on: IsTerminal(out, lookup) && lookup("NO_COLOR") == ""}
}

// IsTerminal reports whether a stream is a terminal on which the cursor can be moved.
func IsTerminal(out io.Writer, lookup func(string) string) bool {
	file, isFile := out.(*os.File)
	terminal := lookup("TERM")
	return isFile && terminal != "" && terminal != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Size is the width and height of a terminal, both zero where they are not known.
func Size(out io.Writer) (width, height int) {
	file, isFile := out.(*os.File)
	if !isFile {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// colours are the colours of the words for phases, of executions and of steps.
var colours = map[string]string{
	"Running":          "36",
	"RollingBack":      "35",
	"AwaitingApproval": "33",
	"Suspended":        "33",
	"Completed":        "32",
	"Failed":           "31",
	"Cancelled":        "31",
	"Skipped":          "2",
	"Pending":          "2",
}

// Phase colours text by a phase.
func (p Painter) Phase(phase, text string) string { return p.wrap(colours[phase], text) }

// Bold makes text stand out.
func (p Painter) Bold(text string) string { return p.wrap("1", text) }

// Faint lets text step back.
func (p Painter) Faint(text string) string { return p.wrap("2", text) }

func (p Painter) wrap(code, text string) string {
	if !p.on || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
