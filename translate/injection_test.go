package translate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// mark is in each text of the user, and nowhere else.
const mark = "zqmarkqz"

// allowedFields are the fields of a Workflow that may have a user's text. A condition holds it as a literal, and
// TestWhenEvaluates shows that none can end one; node messages are no part of a new Workflow.
var allowedFields = regexp.MustCompile(`^(` +
	`spec\.templates\[0\]\.dag\.tasks\[\d+\]\.(arguments\.parameters\[\d+\]\.value|when)` +
	`|metadata\.annotations\.[^.]*` +
	`|spec\.templates\[\d+\]\.(container|script)\.env\[\d+\]\.value)$`)

// FuzzInjection puts a text into every field of a specification that takes free text, and searches the resulting Workflows
// for it.
func FuzzInjection(f *testing.F) {
	for _, text := range []string{
		"plain", `"'` + "`", "a\nb\r\n\tc", "größe 大 \U0001F600 \u2028", `\u007b\u007b`, "{{workflow.uid}}", "{{=1+1}}", "$(HOME)", "$$", "{", "$",
		"}}", "'] || true || tasks['", `"] or true or ["`, "a: b\n- c", "<&>", strings.Repeat("x", 300), "\x00", "\xff", "zqmark", "  a\t",
	} {
		f.Add(text)
	}
	catalog := readCatalog(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 || !utf8.ValidString(text) {
			return // the schema bounds it, and JSON holds text only
		}
		wfe := injected(text)
		plan, err := NewPlan(wfe, catalog)
		if err != nil {
			checkInvalid(t, err)
			if forbiddenSequence(text) == "" && carries(text) && carries(text+mark) {
				t.Errorf("%q is refused: %v", text, err)
			}
			return
		}
		if forbiddenSequence(text) != "" {
			t.Errorf("%q is not refused", text)
		}
		wf := plan.Workflow(Options{ServiceAccountName: "steps"})
		checkAllowedFields(t, wf)
		tasks := wf.Spec.Templates[0].DAG.Tasks
		checkArrives(t, "plain", text+mark, argumentsOf(&tasks[0])["word"])
		checkArrives(t, "encoded", base64.StdEncoding.EncodeToString([]byte(text+mark)), argumentsOf(&tasks[1])["patch"])
		checkArrives(t, "message", text+mark, argumentsOf(&tasks[2])["message"])

		wfe.Status.Steps = InitialSteps(&wfe.Spec)
		for i := range wfe.Status.Steps {
			wfe.Status.Steps[i].Phase = wfev1.StepCompleted
		}
		rollback, err := NewRollback(wfe, catalog, Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkAllowedFields(t, rollback.Workflow)
		checkArrives(t, "undo", text+mark, argumentsOf(&rollback.Workflow.Spec.Templates[0].DAG.Tasks[0])["word"])
	})
}

// injected is an execution with a text in every field that takes free text.
func injected(text string) *wfev1.WorkflowExecution {
	text += mark
	wfe := newExecution(
		newStep("plain", runs("run-script"), with("word", text), undoneBy("run-script", given("word", text))),
		newStep("encoded", runs("patch-object"), with("patch", text), after("plain")),
		newStep("ask", asApproval(text), after("encoded")),
		newStep("source", runs("report"), after("ask")),
		newStep("condition", after("source"), when("source", "text", wfev1.OperatorIn, text, "b")),
	)
	wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: text, Reason: text}}
	return wfe
}

func checkArrives(t *testing.T, where, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", where, diff)
	}
}

// checkAllowedFields checks that only the allowed fields of a Workflow have the mark, and no name of a field.
func checkAllowedFields(t *testing.T, wf *wfv1.Workflow) {
	t.Helper()
	var content any
	if err := json.Unmarshal([]byte(mustJSON(t, wf)), &content); err != nil {
		t.Fatal(err)
	}
	found := 0
	visitTexts("", content, func(path, text string) {
		if !strings.Contains(text, mark) {
			return
		}
		found++
		if !allowedFields.MatchString(path) {
			t.Errorf("a user's text is in %s: %s", path, text)
		}
	})
	if found == 0 {
		t.Error("no field has the mark: the test does not test anything")
	}
}

// visitTexts visits the texts of decoded JSON with their paths, the names of fields included.
func visitTexts(path string, value any, visit func(path, text string)) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			at := name
			if path != "" {
				at = path + "." + name
			}
			visit(path+" (a name)", name)
			visitTexts(at, field, visit)
		}
	case []any:
		for i, item := range value {
			visitTexts(fmt.Sprintf("%s[%d]", path, i), item, visit)
		}
	case string:
		visit(path, value)
	}
}
