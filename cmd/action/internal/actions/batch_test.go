package actions

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// runsJobs ends every new Job with a condition.
func (f *fixture) runsJobs(end batchv1.JobConditionType) {
	f.kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if isDryRun(action) {
			return false, nil, nil
		}
		made := action.(clienttesting.CreateActionImpl).Object.(*batchv1.Job).DeepCopy()
		f.controllers.Go(func() {
			sleep(20 * time.Millisecond)
			made.Status.Conditions = []batchv1.JobCondition{{Type: end, Status: corev1.ConditionTrue, Reason: "Because", Message: "it is so"}}
			if err := f.kube.Tracker().Update(batchv1.SchemeGroupVersion.WithResource("jobs"), made, namespace); err != nil {
				f.t.Errorf("the controller of the test: %v", err)
			}
		})
		return false, nil, nil
	})
}

func TestRunJob(t *testing.T) {
	t.Parallel()
	source := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "clean-" + strings.Repeat("up-", 14) + "x", Namespace: namespace, UID: "uid-of-cronjob"}}
	source.Spec.JobTemplate.Labels = map[string]string{"app": "clean-up"}
	target := map[string]string{"cronjob": source.Name}
	write := []string{"create jobs"}
	cases := map[string]struct {
		reason      string
		end         batchv1.JobConditionType
		parameters  map[string]string
		want, again result
		jobs        int
	}{
		"Completes": {
			reason: "a retry waits for the same Job", end: batchv1.JobComplete, parameters: target, jobs: 1,
			want: result{Writes: write}, again: result{Writes: write},
		},
		"Fails": {
			reason: "the backoffLimit of the Job has already retried it", end: batchv1.JobFailed, parameters: target, jobs: 1,
			want:  result{Exit: 64, Reason: "ActionFailed", Message: "failed: Because it is so; see kubectl -n production logs job/", Writes: write},
			again: result{Exit: 64, Reason: "ActionFailed", Message: "failed: Because", Writes: write},
		},
		"DryRun": {
			reason: "no Job is created", end: batchv1.JobComplete, parameters: with(target, "dry-run", "true"),
			want: result{Writes: write}, again: result{Writes: write},
		},
		"NotFound": {
			reason: "the message names the CronJob", end: batchv1.JobComplete, parameters: map[string]string{"cronjob": "other"},
			want: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`}, again: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, source)
			f.runsJobs(c.end)
			for attempt, want := range map[string]result{"first": c.want, "again": c.again} {
				got := f.attempt(run{action: "run-job", parameters: c.parameters})
				if job := got.Outputs["job"]; job != "" {
					if len(job) > 63 || !strings.HasPrefix(job, "clean-up-") || strings.Contains(job, "--") {
						t.Errorf("%s\nthe Job is called %s", c.reason, job)
					}
					want.Outputs = map[string]string{"changed": "true", "job": job}
				}
				want.check(t, c.reason+", "+attempt, got)
			}
			list, err := f.kube.Tracker().List(batchv1.SchemeGroupVersion.WithResource("jobs"), batchv1.SchemeGroupVersion.WithKind("Job"), namespace)
			if err != nil {
				t.Fatal(err)
			}
			if jobs := list.(*batchv1.JobList).Items; len(jobs) != c.jobs {
				t.Errorf("%s\nthere are %d Jobs, want %d", c.reason, len(jobs), c.jobs)
			}
		})
	}
}

func TestExpandPVC(t *testing.T) {
	t.Parallel()
	claim := func() *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: namespace, UID: "uid-of-data"}}
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
		return c
	}
	grows := func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = c.Spec.Resources.Requests }
	pending := func(c *corev1.PersistentVolumeClaim) {
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimFileSystemResizePending, Status: corev1.ConditionTrue}}
	}
	stuck := func(c *corev1.PersistentVolumeClaim) {
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, Message: "no space"}}
	}
	target := map[string]string{"pvc": "data", "size": "20Gi"}
	changed := map[string]string{"changed": "true", "previous-size": "10Gi"}
	write := []string{"patch persistentvolumeclaims"}
	cases := map[string]struct {
		reason      string
		settle      func(*corev1.PersistentVolumeClaim)
		parameters  map[string]string
		want, again result
	}{
		"Grows": {reason: "a retry reports the first size", settle: grows, parameters: target, want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed}},
		"NeedsARestart": {
			reason: "the file system grows when the pod restarts", settle: pending, parameters: target,
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed},
		},
		"Smaller": {
			reason: "volumes do not shrink", settle: grows, parameters: with(target, "size", "5Gi"),
			want: result{Outputs: with(changed, "changed", "false")}, again: result{Outputs: with(changed, "changed", "false")},
		},
		"Stuck": {
			reason: "the message contains the cause", settle: stuck, parameters: with(target, "wait-seconds", "1"),
			want:  result{Exit: 1, Reason: "DeadlineExceeded", Message: "its capacity is 10Gi of 20Gi: no space after 1s", Outputs: changed, Writes: write},
			again: result{Exit: 1, Reason: "DeadlineExceeded", Message: "no space", Outputs: changed},
		},
		"DryRun": {
			reason: "nothing changes", settle: grows, parameters: with(target, "dry-run", "true"),
			want: result{Outputs: changed, Writes: write}, again: result{Outputs: changed, Writes: write},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, claim())
			apply := clienttesting.ObjectReaction(f.kube.Tracker())
			f.kube.PrependReactor("patch", "persistentvolumeclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if isDryRun(action) {
					return false, nil, nil
				}
				_, written, err := apply(action)
				if err != nil {
					return true, nil, err
				}
				found := written.(*corev1.PersistentVolumeClaim).DeepCopy()
				c.settle(found)
				return true, found, f.kube.Tracker().Update(corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), found, namespace)
			})
			c.want.check(t, c.reason, f.attempt(run{action: "expand-pvc", parameters: c.parameters}))
			c.again.check(t, c.reason+", again", f.attempt(run{action: "expand-pvc", parameters: c.parameters}))
		})
	}
}
