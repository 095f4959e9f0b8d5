package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// argoController and argoConfiguration are the keys of Argo's Deployment and ConfigMap.
var (
	argoController    = types.NamespacedName{Namespace: "argo", Name: "workflow-controller"}
	argoConfiguration = types.NamespacedName{Namespace: "argo", Name: "workflow-controller-configmap"}
)

// manyAtOnce is how many executions there are at once beside a single one.
const manyAtOnce = 40

// variant is a choice of Argo's settings. What it does not name keeps Argo's own default.
type variant struct {
	name        string
	environment map[string]string
	arguments   []string
	// parallelism is how many Workflows may run at once; empty for all.
	parallelism string
}

// variants are what is compared: Argo's defaults, then one change after another.
var variants = []variant{
	{name: "Argo's defaults"},
	{name: "requeue 1s", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "1s"}},
	{name: "requeue 1s, qps 100", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "1s"}, arguments: []string{"--qps=100", "--burst=200"}},
	{name: "requeue 100ms, qps 100", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "100ms"}, arguments: []string{"--qps=100", "--burst=200"}},
	{name: "requeue 1s, parallelism 20", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "1s"}, parallelism: "20"},
	{name: "requeue 1s, parallelism 10", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "1s"}, parallelism: "10"},
	{name: "requeue 1s, qps 100, 8 workers", environment: map[string]string{"DEFAULT_REQUEUE_TIME": "1s"}, arguments: []string{"--qps=100", "--burst=200", "--workflow-workers=8"}},
}

// measureArgo measures how long one execution of five steps of a second takes, and many at once, with settings of Argo's.
func measureArgo(ctx context.Context, _ *settings) (results []Result, err error) {
	c, err := newCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	deployed := &appsv1.Deployment{}
	if err := c.Get(ctx, argoController, deployed); err != nil {
		return nil, err
	}
	configuration := &corev1.ConfigMap{}
	if err := c.Get(ctx, argoConfiguration, configuration); err != nil {
		return nil, err
	}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, c.limitArgo(ctx, configuration.Data[parallelism]), c.deployArgo(ctx, deployed.Spec.Template.Spec.Containers[0]))
	}()
	undo, err := c.play(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo()) }()
	for i, v := range variants {
		// Argo's own pod is a real one.
		err := errors.Join(c.cordon(ctx, false), c.limitArgo(ctx, v.parallelism), c.deployArgo(ctx, v.container(deployed.Spec.Template.Spec.Containers[0])), c.cordon(ctx, true))
		if err != nil {
			return nil, err
		}
		one, err := c.batch(ctx, fmt.Sprintf("one-%d", i), 1, c.apply)
		if err = errors.Join(err, c.clear(ctx)); err != nil {
			return nil, err
		}
		many, err := c.batch(ctx, fmt.Sprintf("many-%d", i), manyAtOnce, c.apply)
		if err = errors.Join(err, c.clear(ctx)); err != nil {
			return nil, err
		}
		results = append(results,
			told("Argo, "+v.name+": one execution of 5 steps of a second", one, "s"),
			told(fmt.Sprintf("Argo, %s: %d executions at once", v.name, manyAtOnce), many, "s"))
	}
	return results, nil
}

// container is Argo's controller with the settings of the variant.
func (v *variant) container(deployed corev1.Container) corev1.Container {
	c := *deployed.DeepCopy()
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "DEFAULT_REQUEUE_TIME" })
	for _, name := range slices.Sorted(maps.Keys(v.environment)) {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: v.environment[name]})
	}
	c.Args = slices.DeleteFunc(c.Args, func(a string) bool {
		return strings.HasPrefix(a, "--qps") || strings.HasPrefix(a, "--burst") || strings.HasPrefix(a, "--workflow-workers")
	})
	c.Args = append(c.Args, v.arguments...)
	return c
}

// parallelism is the key of Argo's ConfigMap with how many Workflows may run at once.
const parallelism = "parallelism"

// limitArgo says how many Workflows may run at once; empty for all. It holds when Argo's controller starts.
func (c *cluster) limitArgo(ctx context.Context, most string) error {
	configuration := &corev1.ConfigMap{}
	if err := c.Get(ctx, argoConfiguration, configuration); err != nil {
		return err
	}
	was := configuration.DeepCopy()
	if configuration.Data == nil {
		configuration.Data = map[string]string{}
	}
	if configuration.Data[parallelism] = most; most == "" {
		delete(configuration.Data, parallelism)
	}
	return c.Patch(ctx, configuration, client.MergeFrom(was))
}

// deployArgo deploys Argo's controller with a container, and waits until only pods of that run.
func (c *cluster) deployArgo(ctx context.Context, container corev1.Container) error {
	deployment := &appsv1.Deployment{}
	if err := c.Get(ctx, argoController, deployment); err != nil {
		return err
	}
	was := deployment.DeepCopy()
	deployment.Spec.Template.Spec.Containers[0] = container
	deployment.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	if deployment.Spec.Template.Annotations == nil {
		deployment.Spec.Template.Annotations = map[string]string{}
	}
	deployment.Spec.Template.Annotations["perf/deployed"] = time.Now().String()
	if err := c.Patch(ctx, deployment, client.MergeFrom(was)); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		err := c.Get(ctx, argoController, deployment)
		status := &deployment.Status
		return err == nil && status.ObservedGeneration == deployment.Generation && status.UpdatedReplicas == 1 && status.AvailableReplicas == 1 && status.Replicas == 1, err
	})
}
