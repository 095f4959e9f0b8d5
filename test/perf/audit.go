package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
)

// audit is the API server's account of what the controller wrote.
type audit struct {
	file string
	read int64
}

// written is one write of the controller's.
type written struct {
	Verb      string `json:"verb"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// kind is the verb and what was written.
func (w *written) kind() string {
	return strings.TrimSuffix(w.Verb+" "+w.ObjectRef.Resource+"/"+w.ObjectRef.Subresource, "/")
}

// isAsked reports whether it is a question in the form of a write, or an event.
func (w *written) isAsked() bool {
	return strings.HasSuffix(w.ObjectRef.Resource, "subjectaccessreviews") || w.ObjectRef.Resource == "events"
}

// next is what was written since the last call.
func (a *audit) next() ([]written, error) {
	file, err := os.Open(a.file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(a.read, io.SeekStart); err != nil {
		return nil, err
	}
	var writes []written
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // a line that is not complete is read the next time
			return writes, nil
		}
		a.read += int64(len(line))
		var w written
		if err := json.Unmarshal(line, &w); err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
}
