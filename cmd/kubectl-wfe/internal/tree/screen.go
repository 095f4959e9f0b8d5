package tree

import (
	"fmt"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Fit drops lines until at most rows remain, because a tree that is taller than the screen cannot be redrawn in place. It
// drops pending steps first, from the end, then completed and skipped steps, from the start. Running and failed steps go
// last. A final line counts the dropped lines.
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
	return append(kept, Line{Text: fmt.Sprintf("… and %d more lines that do not fit on the screen", left)})
}
