package dashboard

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// tick is how often times that pass are shown anew.
	tick = time.Second
	// pause is the least time between two looks, so that a storm of changes does not become one of pages.
	pause = 100 * time.Millisecond
)

// live sends the main part of a page now and whenever it reads differently, as server-sent events.
func (s *server) live(write writer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		var last []byte
		for {
			changed := s.Store.Changed()
			var out bytes.Buffer
			if _, err := write(&out, false, r); err != nil {
				return // the browser asks again, and the page says what is wrong
			}
			if !bytes.Equal(out.Bytes(), last) {
				last = out.Bytes()
				if err := send(w, "main", last); err != nil {
					return
				}
				if err := control.Flush(); err != nil {
					return
				}
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
			select {
			case <-r.Context().Done():
				return
			case <-changed:
			case <-ticker.C:
			}
		}
	}
}

// send writes a server-sent event.
func send(w io.Writer, name string, data []byte) error {
	var event bytes.Buffer
	fmt.Fprintf(&event, "event: %s\n", name)
	for line := range bytes.Lines(data) {
		event.WriteString("data: ")
		event.Write(bytes.TrimRight(line, "\r\n"))
		event.WriteByte('\n')
	}
	event.WriteByte('\n')
	_, err := w.Write(event.Bytes())
	return err
}
