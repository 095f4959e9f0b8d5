package documents

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestEveryFailureReasonIsExplained looks for each reason in the first column of the table of reasons.
func TestEveryFailureReasonIsExplained(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root(t), "config", "manager", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var explained strings.Builder
	for line := range strings.Lines(string(content)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			explained.WriteString(cells[1])
		}
	}
	for _, reason := range wfev1.FailureReasons {
		if !strings.Contains(explained.String(), "`"+string(reason)+"`") {
			t.Errorf("config/manager/README.md does not explain %s", reason)
		}
	}
}
