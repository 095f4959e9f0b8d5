package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func removePodParameters(verb string) []contract.Parameter {
	return []contract.Parameter{
		{Name: "pod", Description: "The pod to " + verb + ".", Required: true, Check: contract.ObjectName},
		{
			Name: "grace-period-seconds", Description: "The grace period of the pod; its own if empty.",
			Check: contract.NonNegative,
		},
		contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
	}
}

func restartPod() contract.Action {
	return contract.Action{
		Name:       "restart-pod",
		Summary:    "Deletes a pod that has a controller, and waits until the pod is gone and its replacement is Ready.",
		Undo:       "nothing to undo",
		Parameters: removePodParameters("restart"),
		Outputs:    []contract.Output{contract.ChangedOutput(), {Name: "replacement", Description: "The name of the replacement."}},
		Rules:      []rbacv1.PolicyRule{watchPodsRule("get", "delete"), markRules()},
		Run: func(ctx context.Context, s *contract.Step) error {
			r, err := beginRemoval(ctx, s, replacedByController)
			if err != nil {
				return err
			}
			if err := r.deletePod(ctx); err != nil {
				return err
			}
			return r.awaitReplacement(ctx)
		},
	}
}

func deletePod() contract.Action {
	return contract.Action{
		Name:       "delete-pod",
		Summary:    "Deletes a pod and waits until it is gone.",
		Undo:       "cannot be undone; a pod that has a controller is replaced",
		Parameters: removePodParameters("delete"),
		Outputs:    []contract.Output{contract.ChangedOutput()},
		Rules:      []rbacv1.PolicyRule{watchPodsRule("get", "delete"), markRules()},
		Run: func(ctx context.Context, s *contract.Step) error {
			r, err := beginRemoval(ctx, s, anyPod)
			if err != nil {
				return err
			}
			if err := r.deletePod(ctx); err != nil {
				return err
			}
			return r.awaitDeleted(ctx)
		},
	}
}

func evictPod() contract.Action {
	return contract.Action{
		Name:       "evict-pod",
		Summary:    "Evicts a pod as soon as its disruption budgets allow it, and waits until it is gone.",
		Undo:       "cannot be undone; a pod that has a controller is replaced",
		Parameters: removePodParameters("evict"),
		Outputs:    []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			watchPodsRule("get"), markRules(),
			{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
		},
		Run: func(ctx context.Context, s *contract.Step) error {
			r, err := beginRemoval(ctx, s, anyPod)
			if err != nil {
				return err
			}
			if err := r.evictPod(ctx); err != nil {
				return err
			}
			return r.awaitDeleted(ctx)
		},
	}
}

// removal removes one pod. Three actions share it.
type removal struct {
	*contract.Step
	name       string
	uid, owner types.UID
	begun      metav1.Time
}

func anyPod(*corev1.Pod) error { return nil }

// replacedByController rejects pods that no controller replaces.
func replacedByController(p *corev1.Pod) error {
	switch owner := metav1.GetControllerOf(p); {
	case owner == nil:
		return contract.Impossible("pod %s has no controller that replaces it; use delete-pod to delete it", p.Name)
	case owner.Kind == "Node":
		return contract.Impossible("pod %s is a static pod, which no API call can restart", p.Name)
	default:
		return nil
	}
}

// beginRemoval resolves the pod and creates the mark before the pod is changed.
func beginRemoval(ctx context.Context, s *contract.Step, accept func(*corev1.Pod) error) (*removal, error) {
	if err := s.Changed(false); err != nil {
		return nil, err
	}
	r := &removal{Step: s, name: s.String("pod")}
	pod, err := r.readPod(ctx)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	m, again, findErr := findMark(ctx, s)
	switch {
	case findErr != nil:
		return nil, findErr
	case again && (err != nil || isMarked(pod, m)):
		// An earlier attempt has removed the pod, or was about to.
	case err != nil:
		return nil, err
	default:
		if err := accept(pod); err != nil {
			return nil, err
		}
		if m, err = r.markPod(ctx, pod, m, again); err != nil {
			return nil, err
		}
	}
	r.uid, r.owner, r.begun = types.UID(m.previous["uid"]), types.UID(m.previous["owner"]), m.made
	return r, nil //nolint:nilerr // an earlier attempt has removed the pod
}

// isMarked reports whether a mark describes this pod or one that this pod has replaced. Everyone who can create events can
// create a mark, but nobody can create one for a pod that is younger than the mark: the API server sets both times.
func isMarked(p *corev1.Pod, m mark) bool {
	return string(p.UID) == m.previous["uid"] || !p.CreationTimestamp.Before(&m.made)
}

func (r *removal) readPod(ctx context.Context) (pod *corev1.Pod, err error) {
	err = r.Retry(ctx, "reading pod "+r.name, func(ctx context.Context) (err error) {
		pod, err = r.Kube.CoreV1().Pods(r.Namespace).Get(ctx, r.name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", r.name, err)
	}
	return pod, nil
}

func (r *removal) markPod(ctx context.Context, pod *corev1.Pod, found mark, again bool) (mark, error) {
	previous := map[string]string{"uid": string(pod.UID)}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		previous["owner"] = string(owner.UID)
	}
	if again {
		r.Log.Warn("ignoring an event that names another pod, which never existed beside this one", "event", markName(r.Step), "pod", pod.Name)
		return mark{previous: previous, made: found.made}, nil
	}
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.name, UID: pod.UID}
	return createMark(ctx, r.Step, about, fmt.Sprintf("Step %s: %s", r.Identity.Step, r.Identity.Action), previous)
}

func (r *removal) deletePod(ctx context.Context) error {
	err := r.Retry(ctx, "deleting pod "+r.name, func(ctx context.Context) error {
		err := r.Kube.CoreV1().Pods(r.Namespace).Delete(ctx, r.name, removeOptions(r.Step, r.uid))
		if apierrors.IsConflict(err) {
			err = conflictOfPod(ctx, r.Step, r.Namespace, r.name, r.uid, err)
		}
		if apierrors.IsNotFound(err) || errors.Is(err, errPodGone) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting pod %s: %w", r.name, err)
	}
	r.Log.Info("deleted", "kind", "pod", "name", r.name, "uid", r.uid, "dryRun", r.DryRun)
	return r.Changed(true)
}

// evictPod repeats the request while a disruption budget refuses it. There is nothing to watch: only a request shows
// whether an eviction is allowed.
func (r *removal) evictPod(ctx context.Context) error {
	limited, err := evictionBackoff().Repeat(ctx, r.Wait, func(ctx context.Context) (bool, error) {
		err := requestEviction(ctx, r.Step, r.Namespace, r.name, r.uid)
		if err == nil || errors.Is(err, errPodGone) {
			return false, nil
		}
		r.Log.Info("waiting for pod", "name", r.name, "missing", err.Error())
		return !r.DryRun && isRefusedForNow(err), err
	})
	switch {
	case err == nil:
		return r.Changed(true)
	case limited:
		return evictionRefused(r.Step, r.Namespace, r.name, err)
	default:
		return fmt.Errorf("evicting pod %s: %w", r.name, err)
	}
}

func (r *removal) awaitDeleted(ctx context.Context) error {
	return awaitPods(ctx, r.Step, "", "pod", r.name, func(pods podSet) verdict {
		if p := pods[r.uid]; p != nil {
			return verdict{missing: describeTerminating(p)}
		}
		return verdict{done: true}
	})
}

// awaitReplacement waits for a Ready pod of the same controller that was created after the mark.
func (r *removal) awaitReplacement(ctx context.Context) error {
	replacement := ""
	err := awaitPods(ctx, r.Step, "", "pod", r.name, func(pods podSet) verdict {
		if p := pods[r.uid]; p != nil {
			return verdict{missing: describeTerminating(p)}
		}
		var fresh []string
		for _, p := range pods {
			owner := metav1.GetControllerOf(p)
			if owner == nil || owner.UID != r.owner || p.CreationTimestamp.Before(&r.begun) {
				continue
			}
			if isReady(p) {
				replacement = p.Name
				return verdict{done: true}
			}
			fresh = append(fresh, p.Name)
		}
		if len(fresh) > 0 {
			return verdict{missing: "its replacement " + slices.Min(fresh) + " is not Ready"}
		}
		return verdict{missing: "its controller has not replaced it"}
	})
	if err != nil {
		return err
	}
	return r.Output("replacement", replacement)
}
