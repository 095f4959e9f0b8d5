package actions

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// podSet holds the pods of a namespace that match a selector.
type podSet map[types.UID]*corev1.Pod

// watchPods watches pods as a set. It calls isDone with all of them, first with the present state and then after each
// change, and returns errBoundReached if isDone does not return true within bound. isDone must not retain the set.
func watchPods(ctx context.Context, s *contract.Step, selector string, bound time.Duration, isDone func(podSet) (bool, error)) error {
	pods := podSet{}
	synced := func(store cache.Store) (bool, error) {
		for _, item := range store.List() {
			if p, ok := item.(*corev1.Pod); ok {
				pods[p.UID] = p
			}
		}
		return isDone(pods)
	}
	changed := func(event watch.Event) (bool, error) {
		p, ok := event.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		pods[p.UID] = p
		if event.Type == watch.Deleted {
			delete(pods, p.UID)
		}
		return isDone(pods)
	}
	tune := func(opts *metav1.ListOptions) { opts.LabelSelector = selector }
	return watchUntil(ctx, s, s.Kube.CoreV1().Pods(s.Namespace), &corev1.Pod{}, tune, bound, synced, changed)
}

// awaitPods watches pods until passes is done, for at most wait-seconds.
func awaitPods(ctx context.Context, s *contract.Step, selector, kind, name string, passes func(podSet) verdict) error {
	if s.DryRun || s.Wait == 0 {
		s.Log.Info("not waiting", "kind", kind, "name", name, "dryRun", s.DryRun)
		return nil
	}
	p := &progress{s: s, kind: kind, name: name, missing: "its state was not received"}
	err := watchPods(ctx, s, selector, s.Wait, func(pods podSet) (bool, error) {
		v := passes(pods)
		p.note(v, nil)
		return v.done, nil
	})
	return p.end(ctx, err)
}

// watchPodsRule lists the permissions to watch pods.
func watchPodsRule(more ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: append([]string{"list", "watch"}, more...)}
}

// isReady reports whether a pod is Ready and not terminating.
func isReady(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// hasEnded reports whether a pod has succeeded or failed.
func hasEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}
