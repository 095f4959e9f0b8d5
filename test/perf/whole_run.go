package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	wholeRounds = 5
	wholeSteps  = 5
	// onSimulated and onReal are the numbers of concurrent executions in a round, on simulated and on real nodes. With 200, Argo's
	// own limit on requests bounds a round, so that its time varies little.
	onSimulated, onReal = 200, 4
	// betweenBatches is much longer than Argo and the manager need to finish the work for ended objects.
	betweenBatches = 3 * time.Second
)

// measureWholeRuns measures the time from the creation of the first execution to the end of the last one, and the same for
// Workflows submitted to Argo directly, on simulated nodes and on real ones.
func measureWholeRuns(ctx context.Context, _ *settings) (results []Result, err error) {
	if os.Getenv("KUBECONFIG") == "" {
		return nil, errors.New("KUBECONFIG is not set: whole runs need a cluster, see README.md")
	}
	c, err := newCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	undo, err := c.simulateNode(ctx)
	if err != nil {
		return nil, err
	}
	simulated, err := c.compare(ctx, "simulated", onSimulated)
	if err = errors.Join(err, undo()); err != nil {
		return nil, err
	}
	real, err := c.compare(ctx, "real", onReal)
	if err != nil {
		return nil, err
	}
	return append(simulated, real...), nil
}

// compare compares rounds of executions with rounds of Workflows submitted directly.
func (c *cluster) compare(ctx context.Context, where string, n int) ([]Result, error) {
	took, err := c.rounds(ctx, where, n)
	if err != nil {
		return nil, err
	}
	direct, mine := took["direct"], took["ours"]
	what := fmt.Sprintf("whole run, %d × %d executions of %d steps on %s pods: ", wholeRounds, n, wholeSteps, where)
	return []Result{
		info(what+"submitted directly", sum(direct), "s"),
		info(what+"as executions", sum(mine), "s"),
		atMost(what+"as executions / directly", sum(mine)/sum(direct), maxWholeRun, ""),
		info(what+"median of the rounds' ratios", ratio(mine, direct), ""),
		info(what+"longest round directly", slices.Max(direct), "s"),
		info(what+"longest round as executions", slices.Max(mine), "s"),
	}, nil
}

// rounds measures rounds of Workflows submitted directly and of executions, in turn. The first round of each does not count,
// and the order alternates.
func (c *cluster) rounds(ctx context.Context, where string, n int) (took map[string][]float64, err error) {
	starts := map[string]creation{"direct": c.submit, "ours": c.apply}
	order := []string{"ours", "direct"}
	took = map[string][]float64{}
	for round := range 1 + wholeRounds {
		for _, kind := range order {
			seconds, err := c.batch(ctx, fmt.Sprintf("%s-%s-%d", where, kind, round), n, starts[kind])
			if err = errors.Join(err, c.clear(ctx)); err != nil {
				return nil, err
			}
			if round > 0 {
				took[kind] = append(took[kind], seconds)
			}
		}
		slices.Reverse(order)
	}
	return took, nil
}

// waits is an execution of a chain of steps that each wait for a second.
func (c *cluster) waits(name string) *wfev1.WorkflowExecution {
	wfe := newExecution(name, shapes[0].steps(wholeSteps))
	wfe.Namespace, wfe.UID = c.ns, ""
	for i := range wfe.Spec.Steps {
		wfe.Spec.Steps[i].Action = "wait"
		wfe.Spec.Steps[i].Parameters = []wfev1.Parameter{{Name: "seconds", Value: ptr.To("1")}}
	}
	return wfe
}

// apply creates an execution.
func (c *cluster) apply(ctx context.Context, name string) error { return c.Create(ctx, c.waits(name)) }

// submit creates the Workflow of an execution without the execution.
func (c *cluster) submit(ctx context.Context, name string) error {
	wf := plan(c.waits(name), c.catalog).Workflow(translate.Options{ServiceAccountName: "default"})
	wf.Labels, wf.OwnerReferences, wf.Finalizers = nil, nil, nil
	return c.Create(ctx, wf)
}

// batch starts n objects and returns the seconds until all of them have ended successfully. An execution has ended when its
// status says so.
func (c *cluster) batch(ctx context.Context, prefix string, n int, start creation) (float64, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	executions, err := watchPhase(watching, c.watcher, c.ns, wfev1.PhaseCompleted, func(object client.Object) bool {
		return strings.HasPrefix(object.GetName(), prefix+"-")
	})
	if err != nil {
		return 0, err
	}
	workflows, err := watchMetadata(watching, c.watcher, c.ns, wfv1.SchemeGroupVersion.WithKind("WorkflowList"), func(object client.Object) bool {
		submitted := strings.HasPrefix(object.GetName(), prefix+"-") && metav1.GetControllerOf(object) == nil
		return submitted && object.GetLabels()["workflows.argoproj.io/completed"] == "true"
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := each(0, n, func(i int) error { return start(ctx, fmt.Sprintf("%s-%d", prefix, i)) }); err != nil {
		return 0, err
	}
	ended := func() int { return executions.count() + workflows.count() }
	if err := until(ctx, func() (bool, error) { return ended() >= n, nil }); err != nil {
		return 0, fmt.Errorf("%s: %d of %d ended: %w", prefix, ended(), n, err)
	}
	took := time.Since(began).Seconds()
	if err := c.checkSucceeded(ctx, prefix, n); err != nil {
		return 0, err
	}
	return took, nil
}

// checkSucceeded checks that every Workflow of a batch succeeded.
func (c *cluster) checkSucceeded(ctx context.Context, prefix string, n int) error {
	workflows := &wfv1.WorkflowList{}
	if err := c.List(ctx, workflows, client.InNamespace(c.ns)); err != nil {
		return err
	}
	succeeded := 0
	for i := range workflows.Items {
		if wf := &workflows.Items[i]; strings.HasPrefix(wf.Name, prefix+"-") && wf.Status.Phase == wfv1.WorkflowSucceeded {
			succeeded++
		}
	}
	if succeeded != n {
		return fmt.Errorf("%s: %d of %d Workflows succeeded", prefix, succeeded, n)
	}
	return nil
}

// clear removes the objects of a batch and waits, so that the work for them does not disturb the next batch.
func (c *cluster) clear(ctx context.Context) error {
	for _, object := range []client.Object{&wfev1.WorkflowExecution{}, &wfv1.Workflow{}, &corev1.Pod{}, &eventsv1.Event{}} {
		if err := c.DeleteAllOf(ctx, object, client.InNamespace(c.ns), client.GracePeriodSeconds(0)); err != nil {
			return err
		}
	}
	err := until(ctx, func() (bool, error) {
		left := 0
		for _, list := range []client.ObjectList{&wfev1.WorkflowExecutionList{}, &wfv1.WorkflowList{}, &corev1.PodList{}} {
			if err := c.List(ctx, list, client.InNamespace(c.ns), client.Limit(1)); err != nil {
				return false, err
			}
			left += meta.LenList(list)
		}
		return left == 0, nil
	})
	if err != nil {
		return fmt.Errorf("remove the objects of a batch: %w", err)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(betweenBatches):
		return nil
	}
}

func sum(values []float64) float64 {
	total := 0.0
	for _, value := range values {
		total += value
	}
	return total
}
