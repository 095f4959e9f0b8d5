package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func verifyPods() contract.Action {
	return contract.Action{
		Name: "verify-pods",
		Summary: "Waits until all pods of a selector are Ready, at least min-ready of them, " +
			"and fails if they do not become Ready, or do not stay Ready for stable-seconds.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "selector", Description: "The labels of the pods to verify, like app=payment-api.", Required: true, Check: contract.Selector},
			{Name: "min-ready", Description: "The least number of Ready pods.", Default: "1", Check: contract.NonNegative},
			stableParameter(), contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" if all pods were Ready when last observed, otherwise "false".`},
			{Name: "pods", Description: "The number of pods that had not ended when last observed."},
			{Name: "ready-pods", Description: "The number of Ready pods when last observed."},
		},
		Rules: []rbacv1.PolicyRule{watchPodsRule()},
		Run:   runVerifyPods,
	}
}

func runVerifyPods(ctx context.Context, s *contract.Step) error {
	selector := s.String("selector")
	var total, ready int
	healthy := false
	count := func(pods podSet) verdict {
		total, ready = 0, 0
		for _, p := range pods {
			if hasEnded(p) {
				continue
			}
			total++
			if isReady(p) {
				ready++
			}
		}
		healthy = ready == total && ready >= int(s.Int("min-ready"))
		return verdict{
			done: healthy, missing: fmt.Sprintf("%d of %d pods are Ready, at least %d are required", ready, total, s.Int("min-ready")),
			numbers: []any{"pods", total, "ready", ready},
		}
	}
	watch := func(ctx context.Context, bound time.Duration, seen func(podSet) (bool, error)) error {
		return watchPods(ctx, s, selector, bound, seen)
	}
	var err error
	if s.DryRun {
		// Earlier steps have changed nothing, so the present state is reported and no failure.
		err = watch(ctx, time.Minute, func(pods podSet) (bool, error) {
			count(pods)
			return true, nil
		})
	} else {
		p := &progress{s: s, kind: "pods", name: selector, hint: "get pods --selector " + selector}
		err = awaitStable(ctx, s, p, verdict{missing: "no pod exists"}, watch, func(pods podSet) (verdict, error) { return count(pods), nil })
	}
	return errors.Join(err,
		s.Output("healthy", strconv.FormatBool(healthy)), s.Output("pods", strconv.Itoa(total)), s.Output("ready-pods", strconv.Itoa(ready)),
	)
}
