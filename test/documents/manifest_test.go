package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// TestEveryManifestIsValid decodes the executions and actions in documents.
func TestEveryManifestIsValid(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, document := range files(t) {
		content, err := os.ReadFile(filepath.Join(root(t), document))
		if err != nil {
			t.Fatal(err)
		}
		fences, err := findFences(string(content))
		if err != nil {
			t.Fatalf("%s:%v", document, err)
		}
		for _, f := range fences {
			if f.language != "yaml" {
				continue
			}
			isManifest, err := check([]byte(strings.Join(f.lines, "\n")))
			if err != nil {
				t.Errorf("%s:%d: %v", document, f.line, err)
			}
			if isManifest {
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("no document shows an execution or an action")
	}
}

// TestEveryQuotationIsTheFile compares the manifests that documents quote, marked as <!-- file: PATH -->, with their files.
// A file's leading comment may be left out.
func TestEveryQuotationIsTheFile(t *testing.T) {
	t.Parallel()
	mark := regexp.MustCompile(`^<!-- file: (\S+) -->$`)
	seen := 0
	for _, document := range files(t) {
		content, err := os.ReadFile(filepath.Join(root(t), document))
		if err != nil {
			t.Fatal(err)
		}
		fences, err := findFences(string(content))
		if err != nil {
			t.Fatalf("%s:%v", document, err)
		}
		for _, f := range fences {
			marked := mark.FindStringSubmatch(f.before)
			if marked == nil {
				continue
			}
			seen++
			file, err := os.ReadFile(filepath.Join(root(t), marked[1]))
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(`^(#.*\n)+`).ReplaceAllString(string(file), "")
			if diff := cmp.Diff(want, strings.Join(f.lines, "\n")+"\n"); diff != "" {
				t.Errorf("%s:%d: differs from %s (-file +document):\n%s", document, f.line, marked[1], diff)
			}
		}
	}
	if seen == 0 {
		t.Error("no document quotes a file")
	}
}

// check reports whether a manifest is an execution or an action, and decodes it strictly.
func check(manifest []byte) (isKnown bool, err error) {
	var kind struct{ Kind string }
	if err := yaml.Unmarshal(manifest, &kind); err != nil {
		return false, err
	}
	switch kind.Kind {
	case "WorkflowExecution":
		return true, yaml.UnmarshalStrict(manifest, &wfev1.WorkflowExecution{})
	case "ClusterWorkflowTemplate":
		var template wfv1.ClusterWorkflowTemplate
		if err := yaml.UnmarshalStrict(manifest, &template); err != nil {
			return true, err
		}
		_, err := translate.NewAction(template.Kind, template.ObjectMeta, &template.Spec)
		return true, err
	default:
		return false, nil
	}
}
