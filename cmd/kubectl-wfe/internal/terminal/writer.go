package terminal

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

const escape = '\x1b'

// Writer makes control characters visible, because text from the cluster could otherwise move the cursor, hide lines or
// change the terminal. Only the sequences that Style and Sequence build for this writer pass: they carry its marker, which
// is random, so that no text can contain it.
type Writer struct {
	out        io.Writer
	marker     string
	isTerminal bool
}

// NewWriter returns a writer for an output of the program.
func NewWriter(out io.Writer, lookup func(string) string) *Writer {
	return &Writer{out: out, marker: rand.Text(), isTerminal: IsTerminal(out, lookup)}
}

// Write writes text with visible control characters.
func (w *Writer) Write(text []byte) (int, error) {
	var safe bytes.Buffer
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		switch {
		case r == escape && bytes.HasPrefix(rest, []byte(w.marker)):
			rest = rest[len(w.marker):]
			safe.WriteRune(r)
		case r == '\n' || r == '\t':
			safe.WriteRune(r)
		case r < ' ':
			safe.WriteString("^" + string(r+'@'))
		case unicode.IsControl(r), w.isTerminal && isInvisible(r):
			fmt.Fprintf(&safe, `\u%04x`, r)
		default:
			safe.WriteRune(r) // an invalid byte becomes U+FFFD
		}
	}
	if _, err := w.out.Write(safe.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// isInvisible reports whether a character changes the order or the look of its neighbors, such as a bidirectional
// override. Files keep these characters, because they are data.
func isInvisible(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }

// Sequence returns an escape sequence of the program, marked for an output that is a Writer.
func Sequence(out io.Writer, sequence string) string {
	return string(escape) + markerOf(out) + sequence
}

func markerOf(out io.Writer) string {
	if w, isWriter := out.(*Writer); isWriter {
		return w.marker
	}
	return ""
}

// unwrap returns the output below a Writer.
func unwrap(out io.Writer) io.Writer {
	if w, isWriter := out.(*Writer); isWriter {
		return w.out
	}
	return out
}
