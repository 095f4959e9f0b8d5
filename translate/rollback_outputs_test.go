package translate

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestRollbackPassesOutputsOnce undoes a step by another action than its own. The value must arrive as it was recorded,
// encoded exactly once, also when the catalog holds only the actions that undo, which is all that it needs to hold.
func TestRollbackPassesOutputsOnce(t *testing.T) {
	recorded := base64.StdEncoding.EncodeToString([]byte("the old object"))
	cases := map[string]struct {
		reason  string
		output  string
		value   string
		catalog []string
		want    string
		// mayRefuse allows a failed undo: without the producer's declaration nobody knows whether its output is encoded.
		mayRefuse bool
	}{
		"EncodedWithBoth":  {"An encoded output is passed on as it is.", "previous", recorded, []string{"patch-object", "restore"}, recorded, false},
		"EncodedUndoOnly":  {"The producer may be gone from the catalog; its output is still encoded.", "previous", recorded, []string{"restore"}, recorded, true},
		"PlainWithBoth":    {"A plain output is encoded on its way.", "digest", "ab", []string{"patch-object", "restore"}, "YWI=", false},
		"EmptyIsNoMissing": {"An empty output was recorded all the same.", "digest", "", []string{"patch-object", "restore"}, "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			all := readCatalog(t)
			restore := *all["patch-object"]
			restore.Name = "restore"
			all["restore"] = &restore
			catalog := Catalog{}
			for _, action := range tc.catalog {
				catalog[action] = all[action]
			}
			wfe := newExecution(newStep("a", runs("patch-object"), with("patch", "{}"), undoneBy("restore",
				wfev1.Parameter{Name: "patch", ValueFrom: &wfev1.OutputReference{Step: "a", Output: tc.output}})))
			wfe.Status.Steps = []wfev1.StepStatus{{Name: "a", Phase: wfev1.StepCompleted, Outputs: []wfev1.Output{{Name: tc.output, Value: tc.value}}}}
			rollback, err := NewRollback(wfe, catalog, Options{})
			if err != nil {
				t.Fatalf("%s\n%v", tc.reason, err)
			}
			if tc.mayRefuse && rollback.Steps[0].Phase == wfev1.StepFailed {
				return // better no undo than a wrong one
			}
			if err := validateWithArgo(rollback.Workflow); err != nil {
				t.Errorf("Argo refuses the rollback: %v", err)
			}
			got := ""
			for _, argument := range rollback.Workflow.Spec.Templates[0].DAG.Tasks[0].Arguments.Parameters {
				if argument.Name == "patch" {
					got = argument.Value.String()
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nvalue (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
