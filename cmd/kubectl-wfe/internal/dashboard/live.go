package dashboard

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// tick is how often running durations are updated.
	tick = time.Second
	// minInterval is the minimum time between two updates, which limits the load of many changes.
	minInterval = 100 * time.Millisecond
)

// live sends the main part of a page as a server-sent event, first immediately and then after each difference.
func (s *server) live(render renderer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		var last []byte
		for {
			changed := s.Store.Changed()
			var out bytes.Buffer
			if _, err := render(&out, false, r); err != nil {
				return // the browser reconnects, and the whole page reports the error
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
			case <-time.After(minInterval):
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
