package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	got := run(t.Context(), ownExecution+"---"+strings.ReplaceAll(ownExecution, "mine", "other"), "translate", "-f", "-", "-n", "here",
		"--catalog", filepath.Dir(write(t, "own.yaml", ownAction)), "--default-service-account", "robot", "--argo-instance-id", "one")
	got.check(t, 0, "")
	documents := strings.Split(got.out, "---\n")
	if len(documents) != 2 {
		t.Fatalf("%d documents:\n%s", len(documents), got.out)
	}
	for i, name := range []string{"mine", "other"} {
		var wf wfv1.Workflow
		if err := yaml.UnmarshalStrict([]byte(documents[i]), &wf); err != nil {
			t.Fatal(err)
		}
		if wf.Name != name || wf.Namespace != "here" || wf.Spec.ServiceAccountName != "robot" || wf.Labels["workflows.argoproj.io/controller-instanceid"] != "one" {
			t.Errorf("the Workflow is %s/%s of %s with %v", wf.Namespace, wf.Name, wf.Spec.ServiceAccountName, wf.Labels)
		}
	}
	run(t.Context(), ownExecution, "translate", "-f", "-").check(t, 1, `-:5: mine: step "do"`)
}

func TestTranslateRollback(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile(samples + "rollback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	run(t.Context(), string(sample), "translate", "--rollback", "-f", "-").check(t, 1, `"payment-api-rollback-sample" has nothing to undo`)
	status := "status: {phase: Failed, steps: [{name: scale-up, action: scale-deployment, phase: Completed, outputs: [{name: previous-replicas, value: \"2\"}]}]}\n"
	run(t.Context(), string(sample)+status, "translate", "--rollback", "-f", "-", "-o", "json").
		check(t, 0, "", `"name": "payment-api-rollback-sample-rollback"`, `"value": "2"`)
}
