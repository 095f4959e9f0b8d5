package tree

import (
	"fmt"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Fit leaves out lines until no more than rows are left, so that a screen can be drawn over: first steps that have not
// started, from the end, then steps that ended well, from the beginning. What is left out is counted in a line of its
// own. What neither waits nor is done stays as long as there is room for it.
func Fit(lines []Line, rows int) []Line {
	if rows <= 0 || len(lines) <= rows {
		return lines
	}
	excess := len(lines) - rows + 1
	dropped := make([]bool, len(lines))
	drop := func(i int, expendable bool) {
		if excess > 0 && expendable && !dropped[i] {
			dropped[i] = true
			excess--
		}
	}
	for i := len(lines) - 1; i > 0; i-- {
		drop(i, lines[i].Phase == wfev1.StepPending)
	}
	for i := 1; i < len(lines); i++ {
		drop(i, lines[i].Phase == wfev1.StepCompleted || lines[i].Phase == wfev1.StepSkipped)
	}
	for i := len(lines) - 1; i > 0; i-- {
		drop(i, true)
	}
	kept := make([]Line, 0, rows)
	left := 0
	for i, line := range lines {
		if dropped[i] {
			left++
			continue
		}
		kept = append(kept, line)
	}
	return append(kept, Line{Text: fmt.Sprintf("… and %d lines that do not fit on the screen", left)})
}
