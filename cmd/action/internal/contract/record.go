package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationLastActions is on every object that an action changed. It holds what the last few steps changed, so that a
// step that is tried again after a crash neither acts twice nor mistakes its own work for the state before it.
const AnnotationLastActions = "workflowexecution.kubernaut.io/last-actions"

// The bounds of the annotation. Only steps that are still being tried need their record.
const (
	maxRecords     = 8
	maxRecordBytes = 8 << 10
)

// Identity tells a step from all others, and is the same in each of its attempts.
type Identity struct {
	// Run is the UID of the Workflow.
	Run string `json:"run"`
	// Step is the name of the step.
	Step string `json:"step"`
	// Action is the name of the action.
	Action string `json:"action"`
}

// isKnown reports whether there is anything to recognise a second attempt by. A person who runs the binary has no run.
func (i Identity) isKnown() bool { return i.Run != "" }

// Key is a short name for the step, fit for the name of an object that the step makes.
func (i Identity) Key() string {
	sum := sha256.Sum256([]byte(i.Run + "\x00" + i.Step + "\x00" + i.Action))
	return hex.EncodeToString(sum[:6])
}

type record struct {
	Identity
	Previous map[string]string `json:"previous,omitempty"`
}

// Recorded returns what this step found before it changed the object in an earlier attempt.
func (s *Step) Recorded(object metav1.Object) (map[string]string, bool) {
	if !s.Identity.isKnown() {
		return nil, false
	}
	for _, r := range readRecords(object) {
		if r.Identity == s.Identity {
			return r.Previous, true
		}
	}
	return nil, false
}

// RecordAnnotation returns the annotations to write together with a change, so that a later attempt of this step finds
// what was there before. It returns nil when the step has no identity or has left its record already.
func (s *Step) RecordAnnotation(object metav1.Object, previous map[string]string) (map[string]string, error) {
	if _, done := s.Recorded(object); done || !s.Identity.isKnown() {
		return nil, nil
	}
	records := append(readRecords(object), record{Identity: s.Identity, Previous: previous})
	if surplus := len(records) - maxRecords; surplus > 0 {
		records = slices.Delete(records, 0, surplus)
	}
	value, err := json.Marshal(records)
	for err == nil && len(value) > maxRecordBytes && len(records) > 1 {
		records = records[1:]
		value, err = json.Marshal(records)
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{AnnotationLastActions: string(value)}, nil
}

// readRecords forgets an annotation that it cannot read: it is a memory of retries, not a source of truth.
func readRecords(object metav1.Object) []record {
	var records []record
	if json.Unmarshal([]byte(object.GetAnnotations()[AnnotationLastActions]), &records) != nil {
		return nil
	}
	return records
}
