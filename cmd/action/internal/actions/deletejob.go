package actions

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func deleteJob() contract.Action {
	return contract.Action{
		Name:    "delete-job",
		Summary: "Deletes a Job together with its pods, and waits until they are gone.",
		Undo:    "cannot be undone; a CronJob creates the next Job on its schedule",
		Parameters: []contract.Parameter{
			{Name: "job", Description: "The Job to delete.", Required: true, Check: contract.ObjectName},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"get", "delete"}},
			markRules(),
		},
		Run: runDeleteJob,
	}
}

func runDeleteJob(ctx context.Context, s *contract.Step) error {
	if err := s.Changed(false); err != nil {
		return err
	}
	name := s.String("job")
	uid, err := markJob(ctx, s, name)
	if err != nil {
		return err
	}
	jobs := s.Kube.BatchV1().Jobs(s.Namespace)
	err = s.Retry(ctx, "deleting job "+name, func(ctx context.Context) error {
		// The Job remains until its pods are gone.
		err := jobs.Delete(ctx, name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: ptr.To(metav1.DeletePropagationForeground), DryRun: s.DryRunOption(),
		})
		if apierrors.IsConflict(err) {
			found, getErr := jobs.Get(ctx, name, metav1.GetOptions{})
			if getErr == nil && found.UID == uid {
				return err
			}
			err = getErr
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting job %s: %w", name, err)
	}
	s.Log.Info("deleted", "kind", "job", "name", name, "uid", uid, "dryRun", s.DryRun)
	if err := s.Changed(true); err != nil || s.DryRun || s.Wait == 0 {
		return err
	}
	return awaitJobGone(ctx, s, name, uid)
}

// markJob returns the UID of the Job to delete. A Job that is older than the mark of this step and has another UID was there
// when the mark was created, so the mark does not describe it.
func markJob(ctx context.Context, s *contract.Step, name string) (types.UID, error) {
	var job *batchv1.Job
	err := s.Retry(ctx, "reading job "+name, func(ctx context.Context) (err error) {
		job, err = s.Kube.BatchV1().Jobs(s.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	isGone := apierrors.IsNotFound(err)
	if err != nil && !isGone {
		return "", fmt.Errorf("reading job %s: %w", name, err)
	}
	m, again, findErr := findMark(ctx, s)
	switch {
	case findErr != nil:
		return "", findErr
	case again && (isGone || !job.CreationTimestamp.Before(&m.made) || string(job.UID) == m.previous["uid"]):
		return types.UID(m.previous["uid"]), nil
	case err != nil:
		return "", fmt.Errorf("reading job %s: %w", name, err)
	case again:
		return job.UID, nil
	}
	about := corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: s.Namespace, Name: name, UID: job.UID}
	_, err = createMark(ctx, s, about, fmt.Sprintf("Step %s: %s", s.Identity.Step, s.Identity.Action), map[string]string{"uid": string(job.UID)})
	return job.UID, err
}

func awaitJobGone(ctx context.Context, s *contract.Step, name string, uid types.UID) error {
	p := &progress{s: s, kind: "job", name: name, missing: "it is not deleted yet"}
	read := func(ctx context.Context) (*batchv1.Job, error) {
		found, err := s.Kube.BatchV1().Jobs(s.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return found, err
	}
	err := poll(p, objectInterval, read)(ctx, s.Wait, func(found *batchv1.Job) (bool, error) {
		if found == nil || found.UID != uid {
			return true, nil
		}
		missing := fmt.Sprintf("it is terminating with %d active pods", found.Status.Active)
		if len(found.Finalizers) > 0 {
			missing += fmt.Sprintf(", held by the finalizers %v", found.Finalizers)
		}
		p.note(verdict{missing: missing}, nil)
		return false, nil
	})
	return p.end(ctx, err)
}
