package actions

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// maxJobPrefix leaves room in 63 characters, the bound of a Job's name, for "-wfe-" and the key of the step.
const maxJobPrefix = 63 - 5 - 12

func runJob() contract.Action {
	return contract.Action{
		Name:    "run-job",
		Summary: "Creates a Job from the template of a CronJob, as kubectl create job --from does, and waits until it completes.",
		Undo:    "depends on the Job",
		Parameters: []contract.Parameter{
			{Name: "cronjob", Description: "The CronJob whose template to use; it may be suspended.", Required: true, Check: contract.ObjectName},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput(), {Name: "job", Description: "The name of the Job."}},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"batch"}, Resources: []string{"cronjobs"}, Verbs: []string{"get"}},
			{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"get", "list", "watch", "create"}},
		},
		Run: runRunJob,
	}
}

func runRunJob(ctx context.Context, s *contract.Step) error {
	name := s.String("cronjob")
	var made *batchv1.Job
	err := s.Retry(ctx, "creating a job from cronjob "+name, func(ctx context.Context) error {
		source, err := s.Kube.BatchV1().CronJobs(s.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading cronjob %s: %w", name, err)
		}
		made, err = ensureJob(ctx, s, source)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.Output("job", made.Name); err != nil {
		return err
	}
	if err := s.Changed(true); err != nil {
		return err
	}
	return await(ctx, s, s.Kube.BatchV1().Jobs(s.Namespace), "job", made.Name, &batchv1.Job{}, completed, nil)
}

// ensureJob creates the Job of this step. Its name is derived from the step, so that a retry finds it.
func ensureJob(ctx context.Context, s *contract.Step, source *batchv1.CronJob) (*batchv1.Job, error) {
	job := buildJob(s, source)
	jobs := s.Kube.BatchV1().Jobs(s.Namespace)
	made, err := jobs.Create(ctx, job, metav1.CreateOptions{DryRun: s.DryRunOption()})
	if apierrors.IsAlreadyExists(err) {
		made, err = jobs.Get(ctx, job.Name, metav1.GetOptions{})
		if err == nil && !metav1.IsControlledBy(made, source) {
			return nil, contract.Impossible("job %s exists and does not belong to cronjob %s", job.Name, source.Name)
		}
	} else if err == nil {
		s.Log.Info("created", "kind", "job", "name", made.Name, "cronjob", source.Name, "dryRun", s.DryRun)
	}
	if err != nil {
		return nil, fmt.Errorf("creating job %s: %w", job.Name, err)
	}
	return made, nil
}

func buildJob(s *contract.Step, source *batchv1.CronJob) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name:        jobPrefix(source) + s.Identity.Key(),
			Namespace:   s.Namespace,
			Labels:      source.Spec.JobTemplate.Labels,
			Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(source, batchv1.SchemeGroupVersion.WithKind("CronJob")),
			},
		},
		Spec: source.Spec.JobTemplate.Spec,
	}
	// Blocking the owner's deletion would need a permission on its finalizers.
	job.OwnerReferences[0].BlockOwnerDeletion = nil
	for key, value := range source.Spec.JobTemplate.Annotations {
		job.Annotations[key] = value
	}
	if s.Identity.Run == "" {
		job.Name, job.GenerateName = "", jobPrefix(source)
	}
	return job
}

func jobPrefix(source *batchv1.CronJob) string {
	return strings.TrimRight(source.Name[:min(len(source.Name), maxJobPrefix)], "-.") + "-wfe-"
}

// completed passes when the Job has completed. A failed Job is final: its backoffLimit has retried it, and another attempt
// of the step would find the same Job.
func completed(job *batchv1.Job) (verdict, error) {
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			return verdict{done: true}, nil
		case batchv1.JobFailed:
			return verdict{}, contract.Impossible("job %s failed: %s %s; see kubectl -n %s logs job/%s", job.Name, c.Reason, c.Message, job.Namespace, job.Name)
		case batchv1.JobSuspended:
			return verdict{missing: "it is suspended and starts no pod until it is resumed"}, nil
		case batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
		}
	}
	return verdict{
		missing: fmt.Sprintf("it has %d active, %d succeeded and %d failed pods", job.Status.Active, job.Status.Succeeded, job.Status.Failed),
		numbers: []any{"active", job.Status.Active, "succeeded", job.Status.Succeeded, "failed", job.Status.Failed},
	}, nil
}
