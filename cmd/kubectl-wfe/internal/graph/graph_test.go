package graph

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// sample has a long edge, an approval and a non-critical step, and its steps are not in plan order.
func sample() *wfev1.WorkflowExecution {
	no := false
	wfe := &wfev1.WorkflowExecution{}
	wfe.Name = "payment-api-oom"
	wfe.Spec.Steps = []wfev1.Step{
		{Name: "verify", Action: "verify-deployment", DependsOn: []string{"restart", "raise-memory", "scale-up"}},
		{Name: "scale-up", Action: "scale-deployment"},
		{Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "really?"}, DependsOn: []string{"scale-up"}},
		{Name: "restart", Action: "restart-deployment", DependsOn: []string{"ask"}},
		{Name: "raise-memory", Action: "set-resources", DependsOn: []string{"scale-up"}, Critical: &no},
	}
	wfe.Status.Steps = []wfev1.StepStatus{
		{Name: "scale-up", Phase: wfev1.StepCompleted}, {Name: "ask", Phase: wfev1.StepAwaitingApproval},
		{Name: "raise-memory", Phase: wfev1.StepFailed}, {Name: "restart", Phase: wfev1.StepPending},
	}
	return wfe
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"dot", "mermaid", "svg"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			got, err := Write(sample(), format)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "sample."+format)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEscaping verifies that no name can end the string that contains it.
func TestEscaping(t *testing.T) {
	t.Parallel()
	wfe := sample()
	wfe.Name = `"><script>&`
	wfe.Spec.Steps = []wfev1.Step{{Name: `a"]; evil --> b`, Action: `</text>&"`}}
	picture, err := Picture(wfe, func(step string) string { return "#step-" + step })
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, picture)
		}
		if start, isStart := token.(xml.StartElement); isStart && start.Name.Local == "script" {
			t.Error("a name became an element")
		} else if isStart && start.Name.Local == "a" {
			links++
		}
	}
	if links != 1 {
		t.Errorf("%d links of one step", links)
	}
	flowchart, err := Write(wfe, "mermaid")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(flowchart, `"`); n != 2 {
		t.Errorf("%d quotes in:\n%s", n, flowchart)
	}
	directed, err := Write(wfe, "dot")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(directed, `label="a\"]; evil --> b\n</text>&\""`) {
		t.Errorf("the label of dot is not quoted:\n%s", directed)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if _, err := Write(sample(), "png"); err == nil || !strings.Contains(err.Error(), "dot, mermaid or svg") {
		t.Errorf("error %v", err)
	}
	wfe := sample()
	wfe.Spec.Steps[1].DependsOn = []string{"verify"}
	if _, err := Write(wfe, "dot"); err == nil || !strings.Contains(err.Error(), "cycle") {
		t.Errorf("error %v", err)
	}
}

// TestNoOverlap arranges graphs of many shapes: the boxes of a layer do not overlap, and every edge runs to the right.
func TestNoOverlap(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 10, 100, 500} {
		for _, reach := range []int{1, 3, 50} {
			nodes := make([]node, size)
			for i := range nodes {
				nodes[i] = node{name: fmt.Sprint("step-", i), label: "wait", critical: true}
				for _, parent := range []int{i - 1 - i%reach, i - 1 - (7*i)%reach} {
					if parent >= 0 && !slices.Contains(nodes[i].parents, parent) {
						nodes[i].parents = append(nodes[i].parents, parent)
					}
				}
			}
			p := arrange(nodes)
			boxes, width, height := p.measure(nodes)
			for _, layer := range p.layers {
				for n := 1; n < len(layer); n++ {
					above, below := boxes[layer[n-1]], boxes[layer[n]]
					if above.y+above.height > below.y {
						t.Fatalf("size %d, reach %d: %+v and %+v overlap", size, reach, above, below)
					}
				}
			}
			for _, at := range boxes {
				if at.x < 0 || at.y < 0 || at.x+at.width > width || at.y+at.height > height {
					t.Fatalf("size %d, reach %d: %+v is outside of %.0fx%.0f", size, reach, at, width, height)
				}
			}
			for _, path := range p.edges {
				for n := 1; n < len(path); n++ {
					if p.slots[path[n]].layer != p.slots[path[n-1]].layer+1 {
						t.Fatalf("size %d, reach %d: an edge jumps a layer", size, reach)
					}
				}
			}
		}
	}
}

// TestFewCrossings verifies that reordering the layers removes the crossing of two chains.
func TestFewCrossings(t *testing.T) {
	t.Parallel()
	p := arrange([]node{{name: "a1"}, {name: "b1"}, {name: "b2", parents: []int{1}}, {name: "a2", parents: []int{0}}})
	if p.slots[0].order > p.slots[1].order != (p.slots[3].order > p.slots[2].order) {
		t.Errorf("the chains cross: %+v", p.slots)
	}
}
