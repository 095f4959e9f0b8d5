package page

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

//go:embed assets
var assets embed.FS

//go:embed templates
var templates embed.FS

var parsed = template.Must(template.ParseFS(templates, "templates/*.html"))

// Assets returns the static files of the pages.
func Assets() fs.FS {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return files
}

// Options are the inputs of a page other than the executions.
type Options struct {
	Now time.Time
	// Scope is the context and namespace of the executions, for the header.
	Scope string
	// Flags are added to the suggested commands, so that they address the same cluster.
	Flags []string
	// Problem is the reason why the page can be out of date; empty otherwise.
	Problem string
}

// frame has the fields that all pages need.
type frame struct {
	Options
	// Title is the title of the page; it starts with the symbol of the phase.
	Title string
	// Live is the path of the page's event stream.
	Live string
}

// write writes a page, or only its main part for an update.
func write(w io.Writer, name string, whole bool, view any) error {
	if whole {
		_, err := io.WriteString(w, "<!doctype html>\n")
		if err != nil {
			return err
		}
		return parsed.ExecuteTemplate(w, name+".html", view)
	}
	return parsed.ExecuteTemplate(w, name+"-main", view)
}

// PathOf returns the path of an execution's page.
func PathOf(namespace, name string) string {
	return "/execution/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

// LivePathOf returns the path of a page's event stream.
func LivePathOf(path string) string { return "/live" + path }

// phaseMarks are the symbols of the execution phases.
var phaseMarks = map[wfev1.Phase]string{
	wfev1.PhasePending: "○", wfev1.PhaseRunning: "●", wfev1.PhaseAwaitingApproval: "?", wfev1.PhaseSuspended: "‖",
	wfev1.PhaseRollingBack: "↩", wfev1.PhaseCompleted: "✔", wfev1.PhaseFailed: "✖", wfev1.PhaseCancelled: "⊘",
}

// phaseWords are the phases that are displayed as two words.
var phaseWords = map[wfev1.Phase]string{wfev1.PhaseAwaitingApproval: "Awaiting approval", wfev1.PhaseRollingBack: "Rolling back"}

func wordOf(phase wfev1.Phase) string {
	if word, has := phaseWords[phase]; has {
		return word
	}
	return string(phase)
}

// phase is a phase for display.
type phase struct{ Class, Mark, Word string }

func phaseOf(wfe *wfev1.WorkflowExecution) phase {
	p := tree.PhaseOf(wfe)
	return phase{Class: string(p), Mark: phaseMarks[p], Word: wordOf(p)}
}

func phaseOfStep(step *wfev1.StepStatus) phase {
	p := step.Phase
	if p == "" {
		p = wfev1.StepPending
	}
	return phase{Class: string(p), Mark: tree.Symbol(p), Word: wordOf(wfev1.Phase(p))}
}

// moment is a time for display.
type moment struct{ Exact, Clock, Ago string }

func (o *Options) moment(t *metav1.Time) *moment {
	if t == nil || t.IsZero() {
		return nil
	}
	clock := t.UTC().Format("15:04:05")
	if o.Now.Sub(t.Time) > 12*time.Hour {
		clock = t.UTC().Format("2006-01-02 15:04:05")
	}
	return &moment{Exact: t.UTC().Format(time.RFC3339), Clock: clock, Ago: duration.HumanDuration(max(o.Now.Sub(t.Time), 0))}
}

// segment is a part of a bar, in percent of its width.
type segment struct{ Class, X, Width string }

// progress returns a bar with the number of steps in each phase.
func progress(wfe *wfev1.WorkflowExecution) []segment {
	counts := map[wfev1.StepPhase]int{}
	for i := range wfe.Status.Steps {
		counts[wfe.Status.Steps[i].Phase]++
	}
	total := float64(max(len(wfe.Spec.Steps), 1))
	var bar []segment
	at := 0.0
	for _, p := range []wfev1.StepPhase{
		wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepCancelled, wfev1.StepSkipped, wfev1.StepAwaitingApproval, wfev1.StepRunning,
	} {
		if n := counts[p]; n > 0 {
			width := 100 * float64(n) / total
			bar = append(bar, segment{Class: string(p), X: percent(at), Width: percent(width)})
			at += width
		}
	}
	return bar
}

func percent(value float64) string { return fmt.Sprintf("%.2f%%", value) }

func targetOf(wfe *wfev1.WorkflowExecution) string {
	return wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name
}

func flatten(text string) string { return strings.Join(strings.Fields(text), " ") }
