package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

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
	helper := newDrainHelper(ctx, s)
	// A node that cannot be drained is not cordoned. The second list includes pods that were scheduled before the cordon.
	pods, err := findPodsToEvict(s, helper, node)
	if err != nil {
		return err
	}
	cordoned, err := setUnschedulable(ctx, s, true, len(pods) > 0)
	if err != nil {
		return err
	}
	if pods, err = findPodsToEvict(s, helper, node); err != nil {
		return err
	}
	s.Log.Info("draining", "node", node, "pods", len(pods), "dryRun", s.DryRun)
	return (&draining{Step: s, helper: helper, node: node, cordoned: cordoned, changed: cordoned.changed, left: pods}).run(ctx)
}

// draining evicts the pods of a node and waits until they are gone.
type draining struct {
	*contract.Step
	helper   *drain.Helper
	node     string
	cordoned outcome[*corev1.Node]
	changed  bool
	// left are the pods that exist, and evicted those of them whose eviction was accepted.
	left    []corev1.Pod
	evicted map[types.UID]bool
}

// run evicts in rounds. Each round requests the evictions that were refused before, and then removes the pods that are gone.
func (d *draining) run(ctx context.Context) error {
	d.evicted = map[types.UID]bool{}
	pace := evictionBackoff()
	pace.Initial, pace.Max = time.Second, 5*time.Second
	limited, err := pace.Repeat(ctx, d.Wait, func(ctx context.Context) (bool, error) {
		err := d.round(ctx)
		if err != nil && !errors.Is(err, errPodsLeft) && !isRefusedForNow(err) {
			return false, err
		}
		if err != nil {
			d.Log.Info("waiting for node", "name", d.node, "missing", err.Error())
		}
		return !d.DryRun, err
	})
	switch {
	case err == nil:
		return nil
	case limited && apierrors.IsTooManyRequests(err):
		return contract.TimedOut("node %s was not drained within %s and stays cordoned: %w; see kubectl get poddisruptionbudgets -A", d.node, d.Wait, err)
	case limited:
		return contract.TimedOut("node %s was not drained within %s and stays cordoned: %w", d.node, d.Wait, err)
	default:
		return fmt.Errorf("draining node %s: %w", d.node, err)
	}
}

// errPodsLeft means that every eviction was accepted and pods are still terminating.
var errPodsLeft = errors.New("pods are terminating")

func (d *draining) round(ctx context.Context) error {
	var refused error
	for _, p := range d.left {
		if d.evicted[p.UID] {
			continue
		}
		err := requestEviction(ctx, d.Step, p.Namespace, p.Name, p.UID)
		switch {
		case err == nil && !d.changed:
			d.changed = true
			if err := d.Changed(true); err != nil {
				return err
			}
			d.evicted[p.UID] = true
		case err == nil, errors.Is(err, errPodGone):
			d.evicted[p.UID] = true
		case isRefusedForNow(err):
			refused = fmt.Errorf("pod %s/%s is not evicted: %w", p.Namespace, p.Name, err)
		default:
			return fmt.Errorf("evicting pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	if len(d.left) == 0 || d.DryRun || d.Wait == 0 {
		return refused
	}
	node, err := d.Kube.CoreV1().Nodes().Get(ctx, d.node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", d.node, err)
	}
	if err := d.cordoned.held(node); err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	return d.removeGone(ctx)
}

// removeGone removes the pods that are gone from those that are left.
func (d *draining) removeGone(ctx context.Context) error {
	found, err := d.Kube.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", d.node).String(), LabelSelector: d.helper.PodSelector,
	})
	if err != nil {
		return fmt.Errorf("listing the pods of node %s: %w", d.node, err)
	}
	exists := podSet{}
	for i := range found.Items {
		exists[found.Items[i].UID] = &found.Items[i]
	}
	d.left = slices.DeleteFunc(d.left, func(p corev1.Pod) bool { return exists[p.UID] == nil })
	if len(d.left) == 0 {
		return nil
	}
	first := exists[d.left[0].UID]
	return fmt.Errorf("%w: %d, among them %s/%s: %s", errPodsLeft, len(d.left), first.Namespace, first.Name, describeTerminating(first))
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

// newDrainHelper returns kubectl's helper, which selects the pods. It does not evict them here: its loop ends at the first
// transient error and reports errors as text.
func newDrainHelper(ctx context.Context, s *contract.Step) *drain.Helper {
	return &drain.Helper{
		Ctx: ctx, Client: s.Kube,
		Force: s.Bool("force"), DeleteEmptyDirData: s.Bool("delete-emptydir-data"), PodSelector: buildDrainSelector(s),
		IgnoreAllDaemonSets: true, ChunkSize: 500, Out: io.Discard, ErrOut: io.Discard,
	}
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
