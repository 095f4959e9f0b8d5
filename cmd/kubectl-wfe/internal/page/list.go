package page

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// maxListed bounds the number of executions in the list, which counts the rest.
const maxListed = 300

// Filter selects executions.
type Filter struct {
	// Phase is the phase of the executions; empty for any.
	Phase wfev1.Phase
	// Text is part of the name, namespace, target, or failure reason; empty for any.
	Text string
}

// FilterOf reads a filter from the query of the list's URL.
func FilterOf(query url.Values) Filter {
	return Filter{Phase: wfev1.Phase(query.Get("phase")), Text: strings.TrimSpace(query.Get("q"))}
}

func (f Filter) path() string {
	query := url.Values{}
	if f.Phase != "" {
		query.Set("phase", string(f.Phase))
	}
	if f.Text != "" {
		query.Set("q", f.Text)
	}
	if len(query) == 0 {
		return "/"
	}
	return "/?" + query.Encode()
}

func (f Filter) hasText(wfe *wfev1.WorkflowExecution) bool {
	words := []string{wfe.Name, wfe.Namespace, targetOf(wfe)}
	if wfe.Status.Failure != nil {
		words = append(words, string(wfe.Status.Failure.Reason))
	}
	return strings.Contains(strings.ToLower(strings.Join(words, "\n")), strings.ToLower(f.Text))
}

type listView struct {
	frame
	Filter        Filter
	Chips         []chip
	Groups        []group
	Total         int
	Left          int
	ShowNamespace bool
}

// chip is a link that filters by a phase.
type chip struct {
	phase
	Count   int
	Path    string
	Current bool
}

type group struct {
	ID, Title string
	Rows      []listRow
}

type listRow struct {
	ID, Path, Namespace, Name, Target string
	Phase                             phase
	Progress                          string
	Bar                               []segment
	DryRun                            bool
	// Now is the current activity, Why the reason of the failure.
	Now, Why  string
	Took, Age string
	Created   *moment
}

// List writes the page that lists executions, or its main part.
func List(w io.Writer, whole bool, all []*wfev1.WorkflowExecution, f Filter, o Options) error {
	view := listView{frame: frame{Options: o, Title: "WorkflowExecutions", Live: LivePathOf(f.path())}, Filter: f}
	counts := map[wfev1.Phase]int{}
	var shown []*wfev1.WorkflowExecution
	for _, wfe := range all {
		if !f.hasText(wfe) {
			continue
		}
		view.Total++
		p := tree.PhaseOf(wfe)
		counts[p]++
		if f.Phase == "" || f.Phase == p {
			shown = append(shown, wfe)
		}
		view.ShowNamespace = view.ShowNamespace || wfe.Namespace != all[0].Namespace
	}
	view.Chips = chips(f, counts, view.Total)
	slices.SortFunc(shown, byUrgency)
	if len(shown) > maxListed {
		view.Left = len(shown) - maxListed
		shown = shown[:maxListed]
	}
	for _, wfe := range shown {
		id, title := groupOf(wfe)
		if n := len(view.Groups); n == 0 || view.Groups[n-1].ID != id {
			view.Groups = append(view.Groups, group{ID: id, Title: title})
		}
		last := &view.Groups[len(view.Groups)-1]
		last.Rows = append(last.Rows, o.listRow(wfe))
	}
	if waiting := counts[wfev1.PhaseAwaitingApproval]; waiting > 0 {
		view.Title = fmt.Sprintf("? %d · %s", waiting, view.Title)
	}
	return write(w, "list", whole, view)
}

func chips(f Filter, counts map[wfev1.Phase]int, total int) []chip {
	all := []chip{{phase: phase{Class: "All", Word: "All"}, Count: total, Path: Filter{Text: f.Text}.path(), Current: f.Phase == ""}}
	for _, p := range wfev1.Phases {
		if counts[p] == 0 && f.Phase != p {
			continue
		}
		all = append(all, chip{
			phase: phase{Class: string(p), Mark: phaseMarks[p], Word: wordOf(p)}, Count: counts[p],
			Path: Filter{Phase: p, Text: f.Text}.path(), Current: f.Phase == p,
		})
	}
	return all
}

// byUrgency sorts executions that wait for a user first, finished ones last, and newer ones before older ones.
func byUrgency(a, b *wfev1.WorkflowExecution) int {
	return cmp.Or(
		cmp.Compare(urgency(a), urgency(b)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func urgency(wfe *wfev1.WorkflowExecution) int {
	switch tree.PhaseOf(wfe) {
	case wfev1.PhaseAwaitingApproval, wfev1.PhaseSuspended:
		return 0
	case wfev1.PhasePending, wfev1.PhaseRunning, wfev1.PhaseRollingBack:
		return 1
	case wfev1.PhaseCompleted, wfev1.PhaseFailed, wfev1.PhaseCancelled:
	}
	return 2
}

func groupOf(wfe *wfev1.WorkflowExecution) (id, title string) {
	switch urgency(wfe) {
	case 0:
		return "waiting", "Waiting for a user"
	case 1:
		return "in-progress", "In progress"
	}
	return "finished", "Finished"
}

func (o *Options) listRow(wfe *wfev1.WorkflowExecution) listRow {
	row := listRow{
		ID: "wfe-" + string(wfe.UID), Path: PathOf(wfe.Namespace, wfe.Name), Namespace: wfe.Namespace, Name: wfe.Name,
		Target: targetOf(wfe), Phase: phaseOf(wfe), Progress: wfe.Status.Progress, Bar: progress(wfe), DryRun: wfe.Spec.DryRun,
		Took:    tree.Elapsed(wfe.Status.StartTime, wfe.Status.CompletionTime, o.Now),
		Age:     duration.HumanDuration(max(o.Now.Sub(wfe.CreationTimestamp.Time), 0)),
		Created: o.moment(&wfe.CreationTimestamp),
	}
	if !tree.PhaseOf(wfe).IsTerminal() {
		row.Now = strings.Join(tree.ActiveSteps(wfe), ", ")
	}
	if question := tree.Question(wfe); question != "" {
		row.Now += ": " + question
	}
	if failure := wfe.Status.Failure; failure != nil {
		row.Why = flatten(tree.FailureText(failure))
	} else if reasons := tree.Reasons(wfe); len(reasons) > 0 && row.Now == "" {
		row.Now = flatten(reasons[0])
	}
	return row
}
