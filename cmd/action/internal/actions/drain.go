package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/drain"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// drainRetryDelay is the time between two requests for an eviction that a disruption budget refuses.
const drainRetryDelay = 2 * time.Second

func drainNode() contract.Action {
	boolean := []string{"true", "false"}
	return contract.Action{
		Name: "drain-node",
		Summary: "Cordons a node, evicts its pods as kubectl drain does, and waits until they are gone. " +
			"Pods of DaemonSets, static pods and the pods of the step's own Workflow stay.",
		Undo: "uncordon-node with keep-cordoned from previous-unschedulable",
		Parameters: []contract.Parameter{
			nodeParameter("drain"),
			{
				Name: "force", Description: "Whether to also evict pods without a controller, which nothing replaces.",
				Default: "false", Enum: boolean,
			},
			{
				Name: "delete-emptydir-data", Description: "Whether to also evict pods that lose data in an emptyDir.",
				Default: "false", Enum: boolean,
			},
			{Name: "pod-selector", Description: "The pods to evict, by their labels; all if empty.", Check: contract.Selector},
			{
				Name: "grace-period-seconds", Description: "The grace period of the pods; each pod's own if empty.",
				Check: contract.NonNegative,
			},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput(), previousUnschedulable()},
		Rules: []rbacv1.PolicyRule{
			nodeRule(),
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
			{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
			{APIGroups: []string{"apps"}, Resources: []string{"daemonsets"}, Verbs: []string{"get"}},
		},
		ClusterScoped: true, ToleratesUnschedulable: true,
		Run: runDrainNode,
	}
}

func runDrainNode(ctx context.Context, s *contract.Step) error {
	node := s.String("node")
	bounded, cancel := context.WithTimeout(ctx, drainBound(s))
	defer cancel()
	helper := newDrainHelper(bounded, s)
	// A node that cannot be drained is not cordoned. The second list includes pods that were scheduled before the cordon.
	pods, err := findPodsToEvict(s, helper, node)
	if err != nil {
		return err
	}
	if err := setUnschedulable(ctx, s, true, len(pods) > 0); err != nil {
		return err
	}
	if pods, err = findPodsToEvict(s, helper, node); err != nil {
		return err
	}
	s.Log.Info("draining", "node", node, "pods", len(pods), "dryRun", s.DryRun)
	if err := checkEvictionAllowed(helper, pods); err != nil {
		return err
	}
	err = helper.DeleteOrEvictPods(pods)
	switch {
	case err != nil && ctx.Err() == nil && bounded.Err() != nil:
		return contract.TimedOut("node %s was not drained within %s: %w; it stays cordoned, see kubectl get poddisruptionbudgets -A", node, drainBound(s), err)
	case err != nil:
		return fmt.Errorf("draining node %s: %w", node, err)
	}
	return nil
}

func findPodsToEvict(s *contract.Step, helper *drain.Helper, node string) ([]corev1.Pod, error) {
	var list *drain.PodDeleteList
	err := s.Retry(helper.Ctx, "listing the pods of node "+node, func(context.Context) error {
		var problems []error
		list, problems = helper.GetPodsForDeletion(node)
		if len(problems) == 0 {
			return nil
		}
		return undrainable(node, problems)
	})
	if err != nil {
		return nil, err
	}
	if warnings := list.Warnings(); warnings != "" {
		s.Log.Info("pods that stay or are not replaced", "node", node, "warnings", warnings)
	}
	return list.Pods(), nil
}

// drainBound returns how long to drain. A dry run requests each eviction and does not wait for budgets that refuse it.
func drainBound(s *contract.Step) time.Duration {
	if s.DryRun {
		return 2 * drainRetryDelay
	}
	return max(s.Wait, minimumWatch)
}

func newDrainHelper(ctx context.Context, s *contract.Step) *drain.Helper {
	h := &drain.Helper{
		Ctx: ctx, Client: s.Kube,
		Force: s.Bool("force"), DeleteEmptyDirData: s.Bool("delete-emptydir-data"), PodSelector: buildDrainSelector(s),
		IgnoreAllDaemonSets: true, GracePeriodSeconds: -1, Timeout: drainBound(s), ChunkSize: 500,
		EvictErrorRetryDelay: drainRetryDelay,
		Out:                  io.Discard, ErrOut: logWriter{s},
		OnPodDeletionOrEvictionStarted: func(p *corev1.Pod, _ bool) {
			s.Log.Info("evicting", "kind", "pod", "namespace", p.Namespace, "name", p.Name)
		},
		OnPodDeletionOrEvictionFinished: func(p *corev1.Pod, _ bool, err error) {
			if err == nil {
				s.Log.Info("gone", "kind", "pod", "namespace", p.Namespace, "name", p.Name)
			}
		},
	}
	if s.String("grace-period-seconds") != "" {
		h.GracePeriodSeconds = int(s.Int("grace-period-seconds"))
	}
	if s.DryRun {
		h.DryRunStrategy = cmdutil.DryRunServer
	}
	return h
}

// buildDrainSelector excludes the pods of the step's own Workflow, because evicting them fails their steps. It has to be
// the selector: kubectl's own filters run before additional ones and reject the pods of steps for their emptyDir. A
// Workflow of the same name in another namespace is therefore excluded too.
func buildDrainSelector(s *contract.Step) string {
	var terms []string
	if selector := s.String("pod-selector"); selector != "" {
		terms = append(terms, selector)
	}
	if s.Workflow != "" {
		terms = append(terms, labelWorkflow+"!="+s.Workflow)
	}
	return strings.Join(terms, ",")
}

// checkEvictionAllowed requests one eviction as a dry run, because kubectl's helper converts errors to text.
func checkEvictionAllowed(h *drain.Helper, pods []corev1.Pod) error {
	if len(pods) == 0 {
		return nil
	}
	probe := *h
	probe.DryRunStrategy = cmdutil.DryRunServer
	group, err := drain.CheckEvictionSupport(h.Client)
	if err != nil || group.Empty() {
		return err
	}
	if err := probe.EvictPod(pods[0], group); apierrors.IsForbidden(err) {
		return fmt.Errorf("evicting pod %s/%s: %w", pods[0].Namespace, pods[0].Name, err)
	}
	return nil
}

// undrainable converts the errors of kubectl's helper: they name kubectl's flags instead of the action's parameters.
func undrainable(node string, problems []error) error {
	err := errors.Join(problems...)
	for _, p := range problems {
		if contract.IsPermanent(p) || contract.IsTransient(p) {
			return p
		}
	}
	text := strings.NewReplacer(
		"(use --force to override)", "(parameter force)",
		"(use --delete-emptydir-data to override)", "(parameter delete-emptydir-data)", "\n", "; ",
	).Replace(err.Error())
	if strings.Contains(text, "is forbidden") {
		return &contract.Failure{Reason: wfev1.ReasonForbidden, Code: contract.ExitNever, Err: err, Message: text}
	}
	return contract.Impossible("node %s cannot be drained: %s", node, text)
}

// logWriter writes the output of kubectl's helper to the log.
type logWriter struct{ s *contract.Step }

func (w logWriter) Write(line []byte) (int, error) {
	w.s.Log.Info("waiting for node", "missing", strings.TrimSpace(string(line)))
	return len(line), nil
}
