package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationLastActions is set on every object that an action changed. It records the last few steps and the state that
// each of them found, so that a retry after a crash neither acts twice nor records its own work as the previous state.
const AnnotationLastActions = "workflowexecution.kubernaut.io/last-actions"

// The bounds of the annotation. Only steps that can still be retried need their record.
const (
	maxRecords     = 8
	maxRecordBytes = 8 << 10
)

// Identity identifies a step. It is the same in every attempt.
type Identity struct {
	// Run is the UID of the Workflow.
	Run string `json:"run"`
	// Step is the name of the step.
	Step string `json:"step"`
	// Action is the name of the action.
	Action string `json:"action"`
}

// isKnown reports whether a retry can be recognised. Outside a Workflow there is no run.
func (i Identity) isKnown() bool { return i.Run != "" }

// Key returns a short hash of the identity, which can be part of the name of an object that the step creates.
func (i Identity) Key() string {
	sum := sha256.Sum256([]byte(i.Run + "\x00" + i.Step + "\x00" + i.Action))
	return hex.EncodeToString(sum[:6])
}

type record struct {
	Identity
	Previous map[string]string `json:"previous,omitempty"`
}

// Recorded returns the state that an earlier attempt of this step found before it changed the object.
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
// the previous state. It returns nil when the step has no identity or is already recorded.
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

// readRecords ignores an annotation that it cannot parse: the records serve retries only.
func readRecords(object metav1.Object) []record {
	var records []record
	if json.Unmarshal([]byte(object.GetAnnotations()[AnnotationLastActions]), &records) != nil {
		return nil
	}
	return records
}
