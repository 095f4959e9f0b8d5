package translate

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/workflow/packer"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// randomValue has this many bytes that cannot be compressed.
func randomValue(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)[:bytes]
}

// refusedSize is the problem of a plan that is too large; nil for one that is not.
func refusedSize(t *testing.T, wfe *wfev1.WorkflowExecution, catalog Catalog) *Problem {
	t.Helper()
	plan := mustPlan(t, wfe, catalog)
	err := plan.CheckSize(plan.Workflow(Options{}))
	if err == nil {
		return nil
	}
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.First().Reason != wfev1.ReasonWorkflowTooLarge {
		t.Fatalf("want no error or WorkflowTooLarge, got %v", err)
	}
	problem := invalid.First()
	return &problem
}

// runLikeArgo adds the nodes of a whole run, with the inputs that Argo records of each attempt, and packs them as Argo does
// before each write.
func runLikeArgo(t *testing.T, wf *wfv1.Workflow) error {
	t.Helper()
	wf.Status.Nodes = wfv1.Nodes{}
	for i := range wf.Spec.Templates[0].DAG.Tasks {
		task := &wf.Spec.Templates[0].DAG.Tasks[i]
		template := wf.GetTemplateByName(task.Template)
		inputs := template.Inputs.DeepCopy()
		for j := range inputs.Parameters {
			if given := task.Arguments.GetParameterByName(inputs.Parameters[j].Name); given != nil {
				inputs.Parameters[j].Value = given.Value
			}
		}
		names := []string{wf.Name + "." + task.Name}
		if retry := template.RetryStrategy; retry != nil {
			for attempt := range retry.Limit.IntValue() + 1 {
				names = append(names, attemptNodeName(names[0], attempt))
			}
		}
		for _, name := range names {
			wf.Status.Nodes[wf.NodeID(name)] = wfv1.NodeStatus{
				ID: wf.NodeID(name), Name: name, DisplayName: task.Name, Type: wfv1.NodeTypePod, Phase: wfv1.NodeSucceeded, TemplateName: template.Name,
				TemplateScope: "local/" + wf.Name, BoundaryID: wf.Name, StartedAt: at(int64(1700000000 + i)), FinishedAt: at(int64(1700000500 + 7*i)), PodIP: fmt.Sprintf("10.0.%d.7", i%250),
				HostNodeName: fmt.Sprintf("node-%d", i%9), Inputs: inputs, Progress: "1/1", Children: []string{wf.NodeID(name + "x")}, TaskResultSynced: ptr.To(true),
			}
		}
	}
	return packer.CompressWorkflowIfNeeded(wf)
}

// TestSizeIsKnownBeforeTheStart has values that cannot be compressed: what is accepted fits with Argo's nodes, to the end of
// the run and of its rollback.
func TestSizeIsKnownBeforeTheStart(t *testing.T) {
	catalog := readCatalog(t)
	const value = 10 << 10
	accepted, refused := 0, 0
	for _, undone := range []bool{false, true} {
		for _, limit := range []int32{0, 3} {
			for _, kib := range []int{50, 100, 200, 300, 400, 500, 700, 900, 1200} {
				var steps []wfev1.Step
				for i := range kib << 10 / value {
					step := newStep(fmt.Sprintf("s%d", i), runs("run-script"), with("word", randomValue(value)))
					if undone {
						step = newStep(fmt.Sprintf("s%d", i), undoneBy("run-script", given("word", randomValue(value))))
						step.Rollback.Retry = &wfev1.Retry{Limit: limit}
					}
					step.Retry = &wfev1.Retry{Limit: limit}
					steps = append(steps, step)
				}
				wfe := ended(nil, steps...)
				if problem := refusedSize(t, wfe, catalog); problem != nil {
					refused++
					if !strings.Contains(problem.Message, fmt.Sprint(MaxWorkflowBytes)) {
						t.Errorf("want a message with the limit, got %q", problem.Message)
					}
					continue
				}
				accepted++
				workflows := []*wfv1.Workflow{mustPlan(t, wfe, catalog).Workflow(Options{})}
				if undone {
					workflows = append(workflows, mustRollback(t, wfe, catalog, Options{}).Workflow)
				}
				for _, wf := range workflows {
					if err := runLikeArgo(t, wf); err != nil {
						t.Errorf("%d KiB with %d retries: Argo cannot record the end of %s: %v", kib, limit, wf.Name, err)
					}
				}
			}
		}
	}
	if accepted < 8 || refused < 8 {
		t.Errorf("%d were accepted and %d refused: the test tries too little", accepted, refused)
	}
}

// TestLargestExecutionsFit has the largest number of steps, which must not be refused while their values are short.
func TestLargestExecutionsFit(t *testing.T) {
	catalog := readCatalog(t)
	for _, shape := range sortedKeys(shapes) {
		for _, limit := range []int32{0, 2} {
			t.Run(fmt.Sprintf("%s/%d", shape, limit), func(t *testing.T) {
				steps := shapes[shape](MaxSteps)
				for i := range steps {
					runs("scale-deployment")(&steps[i])
					with("deployment", "payment-api")(&steps[i])
					with("replicas", "3")(&steps[i])
					undoneBy("scale-deployment", given("deployment", "payment-api"), captured("replicas", steps[i].Name, "previous-replicas"))(&steps[i])
					steps[i].Retry = &wfev1.Retry{Limit: limit}
				}
				wfe := ended(nil, steps...)
				if problem := refusedSize(t, wfe, catalog); problem != nil {
					t.Fatal(problem)
				}
				wf := mustPlan(t, wfe, catalog).Workflow(Options{})
				most := workflowSize(wf, 0)
				if err := runLikeArgo(t, wf); err != nil {
					t.Error(err)
				}
				encoded, err := json.Marshal(wf)
				if err != nil {
					t.Fatal(err)
				}
				if isPacked := wf.Status.CompressedNodes != ""; isPacked && len(encoded) > most {
					t.Errorf("the packed Workflow has %d bytes at its end, more than the %d that were estimated", len(encoded), most)
				}
			})
		}
	}
}

// TestExecutionFitsWithItsStatus has a specification that leaves no room for the outputs of its steps.
func TestExecutionFitsWithItsStatus(t *testing.T) {
	cases := map[string]struct {
		reason  string
		action  string
		refused bool
	}{
		"NoOutputs": {"A step without outputs leaves its room to the specification.", "noop", false},
		"Outputs":   {"Every output counts with its largest size.", "report", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var steps []wfev1.Step
			for i := range 20 {
				steps = append(steps, newStep(fmt.Sprintf("s%d", i), runs(tc.action)))
			}
			p := &Plan{wfe: newExecution(steps...), catalog: readCatalog(t)}
			p.wfe.Annotations = map[string]string{"padding": strings.Repeat("x", 1<<20)}
			if got := p.executionSize() > maxExecutionBytes; got != tc.refused {
				t.Errorf("%s\nwant refused: %t, got %d bytes", tc.reason, tc.refused, p.executionSize())
			}
		})
	}
}
