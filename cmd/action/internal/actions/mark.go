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

// annotationPrevious is set on the events of steps. It holds the previous state.
const annotationPrevious = "workflowexecution.kubernaut.io/previous"

// mark is an Event with a known name that a step creates before it deletes an object. A deleted object cannot hold a
// record, so without the mark a retry could not distinguish an object that the step deleted from one that never existed.
// The API server removes events after an hour; until then they show which step deleted what.
type mark struct {
	previous map[string]string
	// made is a time of the API server. It is comparable only to the times of objects.
	made metav1.Time
}

// markRules lists the permissions that marks need.
func markRules() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"get", "create"}}
}

func markName(s *contract.Step) string { return "wfe-" + s.Identity.Key() }

// findMark returns the mark of an earlier attempt of this step.
func findMark(ctx context.Context, s *contract.Step) (found mark, again bool, err error) {
	if s.Identity.Run == "" {
		return mark{}, false, nil
	}
	err = s.Retry(ctx, "reading the event of an earlier attempt", func(ctx context.Context) error {
		event, err := s.Kube.CoreV1().Events(s.Namespace).Get(ctx, markName(s), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the event of an earlier attempt: %w", err)
		}
		again = true
		found, err = readMark(event)
		return err
	})
	return found, again, err
}

// createMark creates the mark of this step.
func createMark(ctx context.Context, s *contract.Step, about corev1.ObjectReference, message string, previous map[string]string) (mark, error) {
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
	err = s.Retry(ctx, "creating the event of the step", func(ctx context.Context) error {
		created, err := s.Kube.CoreV1().Events(s.Namespace).Create(ctx, event, metav1.CreateOptions{DryRun: s.DryRunOption()})
		if apierrors.IsAlreadyExists(err) {
			// The response to an earlier request was lost.
			created, err = s.Kube.CoreV1().Events(s.Namespace).Get(ctx, event.Name, metav1.GetOptions{})
		}
		if err != nil {
			return fmt.Errorf("creating the event of the step: %w", err)
		}
		made, err = readMark(created)
		return err
	})
	return made, err
}

func readMark(event *corev1.Event) (mark, error) {
	m := mark{previous: map[string]string{}, made: event.CreationTimestamp}
	if err := json.Unmarshal([]byte(event.Annotations[annotationPrevious]), &m.previous); err != nil {
		return m, contract.Impossible("event %s of an earlier attempt has an invalid annotation: %w", event.Name, err)
	}
	return m, nil
}
