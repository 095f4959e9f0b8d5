package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	deploymentutil "k8s.io/kubectl/pkg/util/deployment"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func rollbackDeployment() contract.Action {
	return contract.Action{
		Name:    "rollback-deployment",
		Summary: "Sets the pod template of a Deployment to that of an earlier revision, as kubectl rollout undo does, and waits for the rollout.",
		Undo:    "rollback-deployment with revision from previous-revision",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to roll back.", Required: true, Check: contract.ObjectName},
			{
				Name: "revision", Description: "The revision to roll back to; 0 is the last one that differs in more than the time of a restart.",
				Default: "0", Check: contract.NonNegative,
			},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-revision", Description: "The revision before the step."},
			{Name: "target-revision", Description: "The revision whose template the Deployment has now (in a dry run: would have)."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
			{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"list"}},
		},
		Run: runRollbackDeployment,
	}
}

// runRollbackDeployment does not use kubectl's rollbacker, which replaces the annotations of the Deployment. A retry needs
// the record among them to recognise that the previous revision is already restored.
func runRollbackDeployment(ctx context.Context, s *contract.Step) error {
	name := s.String("deployment")
	var target *appsv1.ReplicaSet
	var revision int64
	plan := func(found *appsv1.Deployment, again bool) (edit, error) {
		now, err := deploymentutil.Revision(found)
		if err != nil {
			return edit{}, contract.Impossible("deployment %s has no readable revision: %w", name, err)
		}
		wanted := int64(s.Int("revision"))
		if recorded, _ := s.Recorded(found); again && target == nil {
			// What was the previous revision in an earlier attempt is another one now.
			if wanted, err = strconv.ParseInt(recorded[recordTarget], 10, 64); err != nil {
				return edit{}, nil //nolint:nilerr // without a record there is nothing left to change
			}
		}
		if target == nil || !again {
			sets, err := s.Kube.AppsV1().ReplicaSets(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(found.Spec.Selector)})
			if err != nil {
				return edit{}, fmt.Errorf("listing the revisions of deployment %s: %w", name, err)
			}
			target, revision, err = findRevision(found, sets.Items, now, wanted)
			if err != nil {
				return edit{}, contract.Impossible("deployment %s %w; see kubectl -n %s rollout history deployment %s", name, err, s.Namespace, name)
			}
		}
		return editTemplate(found, target, now, revision), s.Output("target-revision", strconv.FormatInt(revision, 10))
	}
	return deployments(s).roll(ctx, s, name, plan)
}

// recordTarget is the key of the revision that a step rolled back to, in its record.
const recordTarget = "target"

// findRevision finds the ReplicaSet of a revision; revision 0 selects the last one before the present one.
func findRevision(d *appsv1.Deployment, sets []appsv1.ReplicaSet, now, wanted int64) (*appsv1.ReplicaSet, int64, error) {
	var best, renumbered *appsv1.ReplicaSet
	var bestRevision, renumberedAs int64
	for i := range sets {
		if !metav1.IsControlledBy(&sets[i], d) {
			continue
		}
		revision, err := deploymentutil.Revision(&sets[i])
		switch {
		case err != nil:
			continue
		case wanted > 0 && revision == wanted:
			return &sets[i], revision, nil
		case wanted == 0 && revision < now && revision > bestRevision && !isRestartOf(&sets[i].Spec.Template, &d.Spec.Template):
			best, bestRevision = &sets[i], revision
		case wanted > 0 && slices.Contains(formerRevisions(&sets[i]), wanted):
			renumbered, renumberedAs = &sets[i], revision
		}
	}
	switch {
	case best != nil:
		return best, bestRevision, nil
	case renumbered != nil:
		return renumbered, renumberedAs, nil
	}
	if wanted > 0 {
		return nil, 0, fmt.Errorf("has no revision %d", wanted)
	}
	return nil, 0, errors.New("has no earlier revision")
}

// formerRevisions returns the numbers that a ReplicaSet had before. A rollback to a revision renumbers it, so its former
// numbers still identify it.
func formerRevisions(set *appsv1.ReplicaSet) []int64 {
	var former []int64
	for word := range strings.SplitSeq(set.Annotations[deploymentutil.RevisionHistoryAnnotation], ",") {
		if revision, err := strconv.ParseInt(word, 10, 64); err == nil {
			former = append(former, revision)
		}
	}
	return former
}

// isRestartOf reports whether two templates differ at most in the time of a restart. A rollback to such a revision would
// change nothing that could have failed.
func isRestartOf(a, b *corev1.PodTemplateSpec) bool {
	return apiequality.Semantic.DeepEqual(withoutRestart(a), withoutRestart(b))
}

func withoutRestart(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	t := template.DeepCopy()
	delete(t.Annotations, annotationRestartedAt)
	delete(t.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	if len(t.Annotations) == 0 {
		t.Annotations = nil
	}
	return t
}

// editTemplate replaces the whole template, so that fields which the target does not have are removed.
func editTemplate(d *appsv1.Deployment, target *appsv1.ReplicaSet, now, revision int64) edit {
	template := target.Spec.Template.DeepCopy()
	delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	e := edit{
		previous: map[string]string{"revision": strconv.FormatInt(now, 10), recordTarget: strconv.FormatInt(revision, 10)},
		message:  "rolled back", attributes: []any{"from", now, "to", revision}, field: []string{"spec", "template"},
	}
	if apiequality.Semantic.DeepEqual(*template, d.Spec.Template) {
		return e
	}
	e.patch = templatePatch(replacement(template))
	if cause, ok := target.Annotations[polymorphichelpers.ChangeCauseAnnotation]; ok {
		e.annotations = map[string]string{polymorphichelpers.ChangeCauseAnnotation: cause}
	}
	return e
}

// replacement builds a template that replaces the present one in a strategic merge patch.
func replacement(template *corev1.PodTemplateSpec) map[string]any {
	return map[string]any{
		"$patch":   "replace",
		"metadata": template.ObjectMeta,
		"spec":     template.Spec,
	}
}
