package actions

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

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
	r := &removal{Step: s, name: s.String("pod")}
	m, again, err := findMark(ctx, s)
	if err != nil {
		return nil, err
	}
	if !again {
		if m, err = r.markPod(ctx, accept); err != nil {
			return nil, err
		}
	}
	r.uid, r.owner, r.begun = types.UID(m.previous["uid"]), types.UID(m.previous["owner"]), m.made
	return r, s.Changed(true)
}

func (r *removal) markPod(ctx context.Context, accept func(*corev1.Pod) error) (mark, error) {
	var pod *corev1.Pod
	err := r.Retry(ctx, "reading pod "+r.name, func(ctx context.Context) (err error) {
		pod, err = r.Kube.CoreV1().Pods(r.Namespace).Get(ctx, r.name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return mark{}, fmt.Errorf("reading pod %s: %w", r.name, err)
	}
	if err := accept(pod); err != nil {
		return mark{}, err
	}
	previous := map[string]string{"uid": string(pod.UID)}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		previous["owner"] = string(owner.UID)
	}
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.name, UID: pod.UID}
	return createMark(ctx, r.Step, about, fmt.Sprintf("Step %s: %s", r.Identity.Step, r.Identity.Action), previous)
}

// deleteOptions restrict the deletion to the UID in the mark. A new pod of the same name is not deleted.
func (r *removal) deleteOptions() metav1.DeleteOptions {
	opts := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &r.uid}, DryRun: r.DryRunOption()}
	if r.String("grace-period-seconds") != "" {
		opts.GracePeriodSeconds = ptr.To(int64(r.Int("grace-period-seconds")))
	}
	return opts
}

func (r *removal) deletePod(ctx context.Context) error {
	err := r.Retry(ctx, "deleting pod "+r.name, func(ctx context.Context) error {
		err := r.Kube.CoreV1().Pods(r.Namespace).Delete(ctx, r.name, r.deleteOptions())
		// A conflict is the precondition's answer to a pod of the same name that is not the marked one.
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting pod %s: %w", r.name, err)
	}
	r.Log.Info("deleted", "kind", "pod", "name", r.name, "uid", r.uid, "dryRun", r.DryRun)
	return nil
}

// evictPod repeats the request while a disruption budget refuses it. There is nothing to watch: only a request shows
// whether an eviction is allowed.
func (r *removal) evictPod(ctx context.Context) error {
	opts := r.deleteOptions()
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: r.name, Namespace: r.Namespace}, DeleteOptions: &opts}
	bounded, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	var refusal error
	evict := func(ctx context.Context) (bool, error) {
		err := r.Kube.PolicyV1().Evictions(r.Namespace).Evict(ctx, eviction)
		switch {
		case err == nil:
			r.Log.Info("evicted", "kind", "pod", "name", r.name, "uid", r.uid, "dryRun", r.DryRun)
			return true, nil
		case apierrors.IsNotFound(err), apierrors.IsConflict(err):
			return true, nil
		case contract.IsTransient(err) && !r.DryRun:
			if bounded.Err() == nil {
				refusal = err
			}
			r.Log.Info("waiting for pod", "name", r.name, "missing", err.Error())
			return false, nil
		default:
			return false, err
		}
	}
	pace := wait.Backoff{Duration: drainRetryDelay, Factor: 1.5, Jitter: 0.1, Steps: 1 << 20, Cap: 10 * time.Second}
	err := wait.ExponentialBackoffWithContext(bounded, pace, evict)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && bounded.Err() != nil && refusal != nil:
		return contract.TimedOut("pod %s could not be evicted within %s: %w; see kubectl -n %s get poddisruptionbudgets", r.name, r.Wait, refusal, r.Namespace)
	default:
		return fmt.Errorf("evicting pod %s: %w", r.name, err)
	}
}

func (r *removal) awaitDeleted(ctx context.Context) error {
	return awaitPods(ctx, r.Step, "", "pod", r.name, func(pods podSet) verdict {
		return verdict{done: pods[r.uid] == nil, missing: "it is not deleted yet"}
	})
}

// awaitReplacement waits for a Ready pod of the same controller that was created after the mark.
func (r *removal) awaitReplacement(ctx context.Context) error {
	replacement := ""
	err := awaitPods(ctx, r.Step, "", "pod", r.name, func(pods podSet) verdict {
		if pods[r.uid] != nil {
			return verdict{missing: "it is not deleted yet"}
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
