package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// annotationPrevious is on the events that steps leave; it holds what was there before.
const annotationPrevious = "workflowexecution.kubernaut.io/previous"

// mark is what a step leaves before it deletes something: an Event with a name of its own. A deleted object cannot carry
// a record, so a retry would take the work of the first attempt for an object that never was. The API server removes
// events by itself after an hour, and until then people see in them who deleted what.
type mark struct {
	previous map[string]string
	// made is the API server's time, to be compared with that of objects only.
	made metav1.Time
}

// markRules is what leaving and finding a mark needs.
func markRules() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"get", "create"}}
}

func markName(s *contract.Step) string { return "wfe-" + s.Identity.Key() }

// findMark returns the mark that an earlier attempt of this step left.
func findMark(ctx context.Context, s *contract.Step) (found mark, again bool, err error) {
	if s.Identity.Run == "" {
		return mark{}, false, nil
	}
	err = s.Retry(ctx, "looking for an earlier attempt", func(ctx context.Context) error {
		event, err := s.Kube.CoreV1().Events(s.Namespace).Get(ctx, markName(s), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for an earlier attempt: %w", err)
		}
		again = true
		found, err = readMark(event)
		return err
	})
	return found, again, err
}

// leaveMark leaves the mark of this step on an object.
func leaveMark(ctx context.Context, s *contract.Step, about corev1.ObjectReference, message string, previous map[string]string) (mark, error) {
	content, err := json.Marshal(previous)
	if err != nil {
		return mark{}, err
	}
	now := metav1.NewTime(time.Now())
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: markName(s), Namespace: s.Namespace, Annotations: map[string]string{annotationPrevious: string(content)},
		},
		InvolvedObject: about, Type: corev1.EventTypeNormal, Reason: "RemediationAction", Message: message, Count: 1,
		Source:         corev1.EventSource{Component: "workflowexecution-action"},
		FirstTimestamp: now, LastTimestamp: now,
	}
	if s.Identity.Run == "" {
		event.Name, event.GenerateName = "", "wfe-"
	}
	var made mark
	err = s.Retry(ctx, "leaving a mark", func(ctx context.Context) error {
		created, err := s.Kube.CoreV1().Events(s.Namespace).Create(ctx, event, metav1.CreateOptions{DryRun: s.DryRunOption()})
		if apierrors.IsAlreadyExists(err) {
			// The answer to an attempt before was lost.
			created, err = s.Kube.CoreV1().Events(s.Namespace).Get(ctx, event.Name, metav1.GetOptions{})
		}
		if err != nil {
			return fmt.Errorf("leaving a mark: %w", err)
		}
		made, err = readMark(created)
		return err
	})
	return made, err
}

func readMark(event *corev1.Event) (mark, error) {
	m := mark{previous: map[string]string{}, made: event.CreationTimestamp}
	if err := json.Unmarshal([]byte(event.Annotations[annotationPrevious]), &m.previous); err != nil {
		return m, contract.Impossible("event %s, the mark of an earlier attempt, is not readable: %w", event.Name, err)
	}
	return m, nil
}
