package terminal

import (
	"bytes"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason, in string
		isTerminal bool
		want       string
	}{
		"Plain":           {"text with all kinds of letters passes", "a\tö 漢 ✔\n", true, "a\tö 漢 ✔\n"},
		"Color":           {"a color sequence in the text does not pass", "\x1b[31mred\x1b[0m", true, "^[[31mred^[[0m"},
		"Cursor":          {"no text moves the cursor", "a\x1b[2Ab\rc\bd", true, "a^[[2Ab^Mc^Hd"},
		"Title":           {"no text sets the title", "\x1b]0;x\x07", true, "^[]0;x^G"},
		"EightBit":        {"the one-byte forms of sequences do not pass", "\u009b31m", true, `\u009b31m`},
		"InvalidUTF8":     {"neither do raw bytes", "a\x9b31m", true, "a\ufffd31m"},
		"Delete":          {"nor the delete character", "a\x7f", true, `a\u007f`},
		"Bidirectional":   {"no text reverses the line on a terminal", "abc\u202edef", true, `abc\u202edef`},
		"DataInAFile":     {"a file keeps such characters", "abc\u202edef", false, "abc\u202edef"},
		"ControlInAFile":  {"but not control characters, because files are printed too", "\x1b[31m", false, "^[[31m"},
		"ForeignSequence": {"a marker of another writer does not pass", "\x1bOTHER[31m", true, "^[OTHER[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			w := &Writer{out: &out, marker: "MARKER", isTerminal: test.isTerminal}
			n, err := w.Write([]byte(test.in))
			if err != nil || n != len(test.in) || out.String() != test.want {
				t.Errorf("%s: %q, want %q (%d bytes, error %v)", test.reason, out.String(), test.want, n, err)
			}
		})
	}
}

// TestOwnSequences verifies that the program's own sequences pass, without the marker.
func TestOwnSequences(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := NewWriter(&out, func(string) string { return "" })
	style := Style{on: true, marker: w.marker}
	text := Sequence(w, "[2A") + style.Phase("Failed", "x\x1b[8m") + style.Bold("y")
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[2A\x1b[31mx^[[8m\x1b[0m\x1b[1my\x1b[0m"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	if other := NewWriter(&out, func(string) string { return "" }); other.marker == w.marker || strings.TrimSpace(w.marker) == "" {
		t.Errorf("the markers are %q and %q", w.marker, other.marker)
	}
}
