package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const systemNamespace = testutil.SystemNamespace

// program returns the path of a program from an environment variable.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set; make test-unit sets it", variable)
	}
	return path
}

func root(t *testing.T) string {
	t.Helper()
	path, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// output runs a program and returns its standard output. An error contains all output.
func output(t *testing.T, folder, name string, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Stdout, command.Stderr = folder, &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// kustomize builds kustomizations in the repository or in a copy of its config.
func kustomize(t *testing.T, folder string, kustomizations ...string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, kustomization := range kustomizations {
		built, err := output(t, folder, program(t, "KUBECTL"), "kustomize", kustomization)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, decode(t, built)...)
	}
	return objects
}

// withComponents builds config/default with components.
func withComponents(t *testing.T, components ...string) []*unstructured.Unstructured {
	t.Helper()
	overlay := t.TempDir()
	up := relative(t, overlay, filepath.Join(root(t), "config"))
	content := "resources: [" + up + "/default]\ncomponents: [" + up + "/" + strings.Join(components, ", "+up+"/") + "]\n"
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return kustomize(t, overlay, ".")
}

// relative returns a relative path, because kustomizations accept no absolute ones.
func relative(t *testing.T, from, to string) string {
	t.Helper()
	path, err := filepath.Rel(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// render returns the objects of the chart, with arguments of helm template.
func render(t *testing.T, namespace string, args ...string) []*unstructured.Unstructured {
	t.Helper()
	rendered, err := template(t, namespace, args...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, rendered)
}

func template(t *testing.T, namespace string, args ...string) (string, error) {
	t.Helper()
	args = slices.Concat([]string{"template", "release", "config/chart", "--namespace", namespace}, args)
	return output(t, root(t), program(t, "HELM"), args...)
}

func decode(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// key identifies an object.
func key(object *unstructured.Unstructured) string {
	return strings.TrimSpace(object.GetKind() + " " + object.GetNamespace() + " " + object.GetName())
}

// find returns the object with a kind and name.
func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("%s %s is missing", kind, name)
	return nil
}

// images counts the images of all containers and of all actions.
func images(objects []*unstructured.Unstructured) map[string]int {
	found := map[string]int{}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if image, ok := v["image"].(string); ok {
				found[image]++
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	for _, object := range objects {
		// A schema contains fields of that name, too.
		if object.GetKind() != "CustomResourceDefinition" {
			walk(object.Object)
		}
	}
	return found
}
