// Package terminal detects terminals, styles text for them, and keeps control characters in other text away from them.
// Output that goes to a file or a pipe has no styles.
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Style adds color and weight to text. The zero value leaves text unchanged.
type Style struct {
	on bool
	// marker lets the sequences pass the Writer of the output.
	marker string
}

// Color is the style of a color terminal.
var Color = Style{on: true}

// StyleFor returns the style for a stream. It is Color on a terminal, unless NO_COLOR is set or TERM is dumb.
func StyleFor(out io.Writer, lookup func(string) string) Style {
	if !IsTerminal(out, lookup) || lookup("NO_COLOR") != "" {
		return Style{}
	}
	return Style{on: true, marker: markerOf(out)}
}

// IsTerminal reports whether a stream is a terminal with cursor movement.
func IsTerminal(out io.Writer, lookup func(string) string) bool {
	file, isFile := unwrap(out).(*os.File)
	terminal := lookup("TERM")
	return isFile && terminal != "" && terminal != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Size returns the width and height of a terminal, or zeros when they are unknown.
func Size(out io.Writer) (width, height int) {
	file, isFile := unwrap(out).(*os.File)
	if !isFile {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// colors are the SGR codes of the phases of executions and steps.
var colors = map[string]string{
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

// Phase returns text in the color of a phase.
func (p Style) Phase(phase, text string) string { return p.wrap(colors[phase], text) }

// Bold returns bold text.
func (p Style) Bold(text string) string { return p.wrap("1", text) }

// Faint returns faint text.
func (p Style) Faint(text string) string { return p.wrap("2", text) }

func (p Style) wrap(code, text string) string {
	if !p.on || code == "" || text == "" {
		return text
	}
	start := string(escape) + p.marker
	return start + "[" + code + "m" + text + start + "[0m"
}
