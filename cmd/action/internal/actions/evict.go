package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// evictionBackoff paces requests for an eviction that is refused for now.
func evictionBackoff() contract.Backoff {
	return contract.Backoff{Initial: 2 * time.Second, Max: 10 * time.Second}
}

// removeOptions restrict the removal of a pod to one UID, with the grace period of the parameter.
func removeOptions(s *contract.Step, uid types.UID) metav1.DeleteOptions {
	opts := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, DryRun: s.DryRunOption()}
	if s.String("grace-period-seconds") != "" {
		opts.GracePeriodSeconds = ptr.To(int64(s.Int("grace-period-seconds")))
	}
	return opts
}

// requestEviction requests the eviction of the pod with this UID. It returns errPodGone if that pod does not exist.
func requestEviction(ctx context.Context, s *contract.Step, namespace, name string, uid types.UID) error {
	opts := removeOptions(s, uid)
	err := s.Kube.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, DeleteOptions: &opts,
	})
	switch {
	case err == nil:
		s.Log.Info("evicted", "kind", "pod", "namespace", namespace, "name", name, "uid", uid, "dryRun", s.DryRun)
		return nil
	case apierrors.IsNotFound(err):
		return errPodGone
	case apierrors.IsConflict(err):
		return conflictOfPod(ctx, s, namespace, name, uid, err)
	case apierrors.IsInternalError(err) && strings.Contains(err.Error(), "more than one PodDisruptionBudget"):
		return contract.Impossible("evicting pod %s: %w; see kubectl -n %s get poddisruptionbudgets", name, err, namespace)
	default:
		return err
	}
}

// errPodGone means that the pod with the given UID does not exist.
var errPodGone = errors.New("the pod does not exist")

// conflictOfPod returns errPodGone if another pod has taken the name. Otherwise the conflict has another cause.
func conflictOfPod(ctx context.Context, s *contract.Step, namespace, name string, uid types.UID, conflict error) error {
	found, err := s.Kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return errPodGone
	case err != nil:
		return err
	case found.UID != uid:
		return errPodGone
	default:
		return conflict
	}
}

// isRefusedForNow reports whether a later request for an eviction may succeed.
func isRefusedForNow(err error) bool {
	return contract.IsTransient(err) || apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// evictionRefused returns the failure of a pod that could not be evicted in time. It refers to disruption budgets only if
// one of them was the cause.
func evictionRefused(s *contract.Step, namespace, name string, err error) error {
	hint := ""
	if apierrors.IsTooManyRequests(err) {
		hint = "; see kubectl -n " + namespace + " get poddisruptionbudgets"
	}
	return contract.TimedOut("pod %s was not evicted within %s: %w%s", name, s.Wait, err, hint)
}

// describeTerminating describes why a pod still exists.
func describeTerminating(p *corev1.Pod) string {
	if p.DeletionTimestamp == nil {
		return "it is not deleted yet"
	}
	text := "it is terminating"
	if p.DeletionGracePeriodSeconds != nil {
		since := p.DeletionTimestamp.Add(-time.Duration(*p.DeletionGracePeriodSeconds) * time.Second).UTC().Format(time.RFC3339)
		text += fmt.Sprintf(" since %s with a grace period of %ds", since, *p.DeletionGracePeriodSeconds)
	}
	if len(p.Finalizers) > 0 {
		text += ", held by the finalizers " + strings.Join(p.Finalizers, ", ")
	}
	return text
}
