package dryrun

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
)

func parse(t *testing.T, text string) *wfev1.WorkflowExecution {
	t.Helper()
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(text), wfe); err != nil {
		t.Fatal(err)
	}
	return wfe
}

func TestNew(t *testing.T) {
	t.Parallel()
	in := parse(t, `
metadata: {name: NAME, namespace: ns, uid: "1", resourceVersion: "2", labels: {a: b}}
spec:
  cancel: Stop
  suspended: true
  timeoutSeconds: 60
  approvals: [{step: ask, approved: false}]
  steps: [{name: ask, approval: {}}, {name: do, action: wait}]
status: {phase: Failed}`)
	in.Name = strings.Repeat("a", 42) + "-bcdefghijkl"
	want := parse(t, `
metadata: {namespace: ns}
spec:
  dryRun: true
  timeoutSeconds: 60
  ttlSecondsAfterFinished: 600
  approvals: [{step: ask, approved: true, by: carol, reason: dry run}]
  steps: [{name: ask, approval: {}}, {name: do, action: wait}]`)
	want.GenerateName = strings.Repeat("a", 42) + "-diff-"
	got := New(in, "carol")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(got.GenerateName) + 5; n > 54 {
		t.Errorf("the name will have %d characters", n)
	}
}

func TestNewOfAGeneratedName(t *testing.T) {
	t.Parallel()
	in := parse(t, "metadata: {generateName: alert-}")
	if got := New(in, ""); got.GenerateName != "alert-diff-" {
		t.Errorf("the name is generated from %q", got.GenerateName)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	builtIn, err := catalog.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		reason, in string
		want       []string
		changes    bool
	}{
		"Changes": {
			reason: "a parameter appears with the value that it replaces; a parameter that is not set does not appear",
			in: `
spec:
  steps:
  - {name: ask, approval: {}}
  - {name: scale, action: scale-deployment, parameters: [{name: deployment, value: d}, {name: replicas, value: "5"}]}
  - {name: env, action: set-env, parameters: [{name: deployment, value: d}, {name: name, value: MODE}, {name: value, value: "new\nlines"}]}
  - {name: memory, action: set-resources, parameters: [{name: deployment, value: d}, {name: memory-limit, value: 2Gi}, {name: cpu-limit, value: "1"}]}
  - {name: job, action: run-job, parameters: [{name: cronjob, value: c}]}
status:
  steps:
  - {name: ask, phase: Completed}
  - {name: scale, action: scale-deployment, phase: Completed, outputs: [{name: changed, value: "true"}, {name: previous-replicas, value: "2"}]}
  - {name: env, action: set-env, phase: Completed, outputs: [{name: changed, value: "true"}, {name: previous-value, value: b2xk}, {name: previous-absent, value: "false"}]}
  - {name: memory, action: set-resources, phase: Completed, outputs: [{name: changed, value: "true"}, {name: previous-memory-limit, value: 1Gi}, {name: previous-cpu-limit, value: "1"}, {name: previous-cpu-request, value: none}]}
  - {name: job, action: run-job, phase: Completed, outputs: [{name: changed, value: "true"}, {name: job, value: c-x}]}`,
			want: []string{
				"~ scale  scale-deployment  would change", "    replicas: 2 → 5",
				"~ env  set-env  would change", "    value: old → new lines", "    previous-absent: false",
				"~ memory  set-resources  would change", "    memory-limit: 1Gi → 2Gi",
				"~ job  run-job  would change", "    job: c-x",
			},
			changes: true,
		},
		"NoChanges": {
			reason: "a step without a difference, a step that only reads, and a step that is skipped",
			in: `
spec: {steps: [{name: scale, action: scale-deployment}, {name: verify, action: verify-deployment}, {name: later, action: wait}]}
status:
  steps:
  - {name: scale, action: scale-deployment, phase: Completed, outputs: [{name: changed, value: "false"}]}
  - {name: verify, action: verify-deployment, phase: Completed, outputs: [{name: healthy, value: "true"}]}
  - {name: later, action: wait, phase: Skipped}`,
			want: []string{
				"= scale  scale-deployment  would change nothing",
				"= verify  verify-deployment  makes no changes", "    healthy: true",
				"- later  wait  would not run",
			},
		},
		"References": {
			reason: "a reference is resolved from the outputs of the other step",
			in: `
spec:
  steps:
  - {name: a, action: scale-deployment}
  - {name: b, action: scale-deployment, parameters: [{name: replicas, valueFrom: {step: a, output: previous-replicas}}]}
  - {name: c, action: scale-deployment, parameters: [{name: replicas, valueFrom: {step: a, output: other}}]}
status:
  steps:
  - {name: a, action: scale-deployment, phase: Completed, outputs: [{name: changed, value: "false"}, {name: previous-replicas, value: "3"}]}
  - {name: b, action: scale-deployment, phase: Completed, outputs: [{name: changed, value: "true"}, {name: previous-replicas, value: "1"}]}
  - {name: c, action: scale-deployment, phase: Completed, outputs: [{name: changed, value: "true"}, {name: previous-replicas, value: "1"}]}`,
			want: []string{
				"= a  scale-deployment  would change nothing",
				"~ b  scale-deployment  would change", "    replicas: 1 → 3",
				"~ c  scale-deployment  would change", "    replicas: 1 → (other of a)",
			},
			changes: true,
		},
		"Failure": {
			reason: "a failed step has its reason, and the steps after it did not finish",
			in: `
spec: {steps: [{name: a, action: wait}, {name: b, action: wait}]}
status: {steps: [{name: a, action: wait, phase: Failed, reason: Forbidden, message: "not\nallowed"}, {name: b, action: wait, phase: Cancelled}]}`,
			want: []string{"✖ a  wait  Forbidden: not allowed", "✖ b  wait  did not finish: Cancelled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Read(parse(t, test.in), builtIn.Actions(), terminal.Style{})
			if diff := cmp.Diff(test.want, got.Lines); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			if got.Changes != test.changes {
				t.Errorf("%s: changes %t", test.reason, got.Changes)
			}
		})
	}
}
