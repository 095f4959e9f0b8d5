package actions

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var nodesResource = corev1.SchemeGroupVersion.WithResource("nodes")

func node(tune ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-of-node-1"}}
	for _, f := range tune {
		f(n)
	}
	return n
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

func tainted(value string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "broken-disk", Value: value, Effect: corev1.TaintEffectNoSchedule})
	}
}

func keepsOut(n *corev1.Node) {
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoExecute})
}

func (f *fixture) node() *corev1.Node {
	f.t.Helper()
	found, err := f.kube.Tracker().Get(nodesResource, "", "node-1")
	if err != nil {
		f.t.Fatal(err)
	}
	return found.(*corev1.Node)
}

func TestNodes(t *testing.T) {
	t.Parallel()
	target := map[string]string{"node": "node-1"}
	taint := with(target, "key", "broken-disk", "value", "sda")
	write := []string{"patch nodes"}
	opened := map[string]string{"changed": "true", "previous-unschedulable": "false"}
	closed := map[string]string{"changed": "true", "previous-unschedulable": "true"}
	absent := map[string]string{"changed": "true", "previous-value": "", "previous-absent": "true"}
	cases := map[string]struct {
		reason      string
		node        *corev1.Node
		run         run
		want, again result
		spec        corev1.NodeSpec
	}{
		"Cordon": {
			reason: "a retry reports the state before", node: node(), run: run{action: "cordon-node", parameters: target},
			want: result{Outputs: opened, Writes: write}, again: result{Outputs: opened}, spec: node(cordoned).Spec,
		},
		"CordonCordoned": {
			reason: "nothing to change", node: node(cordoned), run: run{action: "cordon-node", parameters: target},
			want: result{Outputs: with(closed, "changed", "false")}, again: result{Outputs: with(closed, "changed", "false")}, spec: node(cordoned).Spec,
		},
		"CordonDryRun": {
			reason: "nothing changes", node: node(), run: run{action: "cordon-node", parameters: with(target, "dry-run", "true")},
			want: result{Outputs: opened, Writes: write}, again: result{Outputs: opened, Writes: write},
		},
		"CordonNotFound": {
			reason: "the message names the node", node: node(), run: run{action: "cordon-node", parameters: map[string]string{"node": "other"}},
			want: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`}, again: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`},
		},
		"Uncordon": {
			reason: "the node becomes schedulable", node: node(cordoned), run: run{action: "uncordon-node", parameters: target},
			want: result{Outputs: closed, Writes: write}, again: result{Outputs: closed},
		},
		"UndoOfACordonThatChangedNothing": {
			reason: "a node that was cordoned before stays cordoned", node: node(cordoned),
			run:  run{action: "uncordon-node", parameters: with(target, "keep-cordoned", "true")},
			want: result{Outputs: with(closed, "changed", "false")}, again: result{Outputs: with(closed, "changed", "false")}, spec: node(cordoned).Spec,
		},
		"Taint": {
			reason: "other taints stay", node: node(keepsOut), run: run{action: "taint-node", parameters: taint},
			want: result{Outputs: absent, Writes: write}, again: result{Outputs: absent}, spec: node(keepsOut, tainted("sda")).Spec,
		},
		"TaintAgainWithAnotherValue": {
			reason: "the outputs contain the previous value", node: node(tainted("sdb")), run: run{action: "taint-node", parameters: taint},
			want:  result{Outputs: map[string]string{"changed": "true", "previous-value": "sdb", "previous-absent": "false"}, Writes: write},
			again: result{Outputs: map[string]string{"changed": "true", "previous-value": "sdb", "previous-absent": "false"}}, spec: node(tainted("sda")).Spec,
		},
		"RemoveTaint": {
			reason: "only this one goes", node: node(keepsOut, tainted("sda")), run: run{action: "taint-node", parameters: with(taint, "remove", "true")},
			want:  result{Outputs: map[string]string{"changed": "true", "previous-value": "sda", "previous-absent": "false"}, Writes: write},
			again: result{Outputs: map[string]string{"changed": "true", "previous-value": "sda", "previous-absent": "false"}}, spec: node(keepsOut).Spec,
		},
		"RemoveAbsentTaint": {
			reason: "nothing to change", node: node(), run: run{action: "taint-node", parameters: with(taint, "remove", "true")},
			want: result{Outputs: with(absent, "changed", "false")}, again: result{Outputs: with(absent, "changed", "false")},
		},
		"BadEffect": {
			reason: "rejected before any request to the API server", node: node(), run: run{action: "taint-node", parameters: with(taint, "effect", "Explode")},
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "must be one of NoSchedule"}, again: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter effect"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.node)
			c.want.check(t, c.reason, f.attempt(c.run))
			c.again.check(t, c.reason+", again", f.attempt(c.run))
			if diff := cmp.Diff(c.spec, f.node().Spec); diff != "" {
				t.Errorf("%s\nnode (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestDrainNode(t *testing.T) {
	t.Parallel()
	target := map[string]string{"node": "node-1"}
	opened := map[string]string{"changed": "true", "previous-unschedulable": "false"}
	byDaemonSet := func(p *corev1.Pod) {
		owned(p)
		p.OwnerReferences[0].Kind, p.OwnerReferences[0].Name = "DaemonSet", "agent"
	}
	sibling := func(p *corev1.Pod) { p.Labels[labelWorkflow] = "payment-api-oom" }
	scratch := func(p *corev1.Pod) {
		owned(p)
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	forbidden := apierrors.NewForbidden(groupResource("", "pods/eviction"), "a", errors.New("cannot create"))
	tooMany := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	cases := map[string]struct {
		reason      string
		pods        []runtime.Object
		prepare     func(*fixture)
		parameters  map[string]string
		want, again result
		writes      []string
		left        []string
	}{
		"Drain": {
			reason:     "its own pod, its siblings and pods of DaemonSets stay",
			pods:       []runtime.Object{pod("a", owned), pod("b", owned), pod("c", byDaemonSet), pod("step-pod", sibling), pod("sibling", sibling, scratch)},
			parameters: target, want: result{Outputs: opened}, again: result{Outputs: opened},
			writes: []string{"patch nodes", "create pods/eviction", "create pods/eviction"},
			left:   []string{"c", "sibling", "step-pod"},
		},
		"DryRun": {
			reason: "nothing changes", pods: []runtime.Object{pod("a", owned)}, parameters: with(target, "dry-run", "true"),
			want: result{Outputs: opened}, again: result{Outputs: opened}, writes: []string{"patch nodes", "create pods/eviction"}, left: []string{"a"},
		},
		"Unowned": {
			reason: "the message names the parameter", pods: []runtime.Object{pod("a")}, parameters: target,
			want:  result{Exit: 64, Reason: "ActionFailed", Message: "(parameter force)"},
			again: result{Exit: 64, Reason: "ActionFailed", Message: "cannot be drained"},
			left:  []string{"a"},
		},
		"Scratch": {
			reason: "data in an emptyDir is not lost by default", pods: []runtime.Object{pod("a", scratch)}, parameters: target,
			want:  result{Exit: 64, Reason: "ActionFailed", Message: "(parameter delete-emptydir-data)"},
			again: result{Exit: 64, Reason: "ActionFailed", Message: "production/a"},
			left:  []string{"a"},
		},
		"Forced": {
			reason: "parameters permit both", pods: []runtime.Object{pod("a"), pod("b", scratch)},
			parameters: with(target, "force", "true", "delete-emptydir-data", "true"), want: result{Outputs: opened}, again: result{Outputs: opened},
			writes: []string{"patch nodes", "create pods/eviction", "create pods/eviction"},
		},
		"Forbidden": {
			reason: "the message contains the refusal", pods: []runtime.Object{pod("a", owned)}, parameters: target,
			prepare: func(f *fixture) { f.failAlways("create", "pods", forbidden) },
			want:    result{Exit: 64, Reason: "Forbidden", Message: "bind ClusterRole workflowexecution-action-drain-node", Outputs: opened},
			again:   result{Exit: 64, Reason: "Forbidden", Message: "cannot create", Outputs: opened},
			writes:  []string{"patch nodes", "create pods/eviction"}, left: []string{"a"},
		},
		"Budget": {
			reason: "a budget that never allows the eviction ends the step at its bound", pods: []runtime.Object{pod("a", owned)}, parameters: with(target, "wait-seconds", "2"),
			prepare: func(f *fixture) { f.failAlways("create", "pods", tooMany) },
			want:    result{Exit: 1, Reason: "DeadlineExceeded", Message: "was not drained within 2s", Outputs: opened},
			again:   result{Exit: 1, Reason: "DeadlineExceeded", Message: "get poddisruptionbudgets", Outputs: opened},
			left:    []string{"a"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, append(c.pods, node(), daemonSetOf("agent"))...)
			f.evicts()
			if c.prepare != nil {
				c.prepare(f)
			}
			got := f.attempt(run{action: "drain-node", parameters: c.parameters})
			if c.writes != nil && !slices.Equal(c.writes, got.Writes) {
				t.Errorf("%s\nwrites %v, want %v", c.reason, got.Writes, c.writes)
			}
			got.Writes = nil
			c.want.check(t, c.reason, got)
			got = f.attempt(run{action: "drain-node", parameters: c.parameters})
			got.Writes = nil
			c.again.check(t, c.reason+", again", got)
			if diff := cmp.Diff(c.left, f.podNames()); diff != "" {
				t.Errorf("%s\npods (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
