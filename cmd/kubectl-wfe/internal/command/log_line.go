package command

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// startedPods returns the pods of steps in the order of their start.
func startedPods(steps []wfev1.StepStatus) []stepPod {
	started := slices.DeleteFunc(slices.Clone(steps), func(step wfev1.StepStatus) bool { return step.PodName == "" })
	slices.SortStableFunc(started, func(a, b wfev1.StepStatus) int {
		if a.StartTime == nil || b.StartTime == nil {
			return 0
		}
		return a.StartTime.Compare(b.StartTime.Time)
	})
	pods := make([]stepPod, len(started))
	for i := range started {
		pods[i] = stepPod{started[i].Name, started[i].PodName}
	}
	return pods
}

func stepNames(steps []wfev1.StepStatus) []string {
	names := make([]string, len(steps))
	for i := range steps {
		names[i] = steps[i].Name
	}
	return names
}

func phaseText(wfe *wfev1.WorkflowExecution) string { return string(tree.PhaseOf(wfe)) }

// readableLine formats a log line that starts with its time: as the time of day, the step and the text. A JSON line, which
// the built-in actions write, becomes its message and its other fields.
func readableLine(line, step string) string {
	stamp, text, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return step + "  " + line
	}
	return at.UTC().Format("15:04:05") + "  " + step + "  " + readableText(text)
}

// hiddenFields are the fields of a JSON line that repeat the columns.
var hiddenFields = []string{"time", "level", "msg", "action", "step"}

func readableText(text string) string {
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil || fields["msg"] == nil {
		return text
	}
	parts := []string{fmt.Sprint(fields["msg"])}
	if level, _ := fields["level"].(string); level != "" && level != "INFO" {
		parts[0] = level + " " + parts[0]
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		if !slices.Contains(hiddenFields, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		parts = append(parts, name+"="+fieldText(fields[name]))
	}
	return strings.Join(parts, "  ")
}

func fieldText(value any) string {
	if text, isString := value.(string); isString {
		return text
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

// copyLines copies lines of any length. Each line is a single write, so that concurrent logs do not mix within a line.
func copyLines(out io.Writer, in io.Reader, format func(line string) string) error {
	reader := bufio.NewReader(in)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			if _, err := fmt.Fprintln(out, format(strings.TrimRight(line, "\r\n"))); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
