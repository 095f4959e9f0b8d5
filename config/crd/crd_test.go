package crd

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// schemaOf is the schema of the only version of a CustomResourceDefinition.
func schemaOf(t *testing.T, manifest []byte) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(manifest, definition); err != nil {
		t.Fatal(err)
	}
	if len(definition.Spec.Versions) != 1 {
		t.Fatalf("%d versions", len(definition.Spec.Versions))
	}
	return definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk visits every property, and the items of every list of objects.
func walk(at string, schema *apiextensionsv1.JSONSchemaProps, visit func(at string, schema *apiextensionsv1.JSONSchemaProps)) {
	for name, property := range schema.Properties {
		visit(at+"."+name, &property)
		walk(at+"."+name, &property, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil && schema.Items.Schema.Type == "object" {
		visit(at+"[]", schema.Items.Schema)
		walk(at+"[]", schema.Items.Schema, visit)
	}
}

// sentences begin with what they are about, and end.
var sentences = regexp.MustCompile(`^[A-Za-z]+( [^ ]+){3,}[.]$`)

// TestExplain holds that kubectl explain has a full sentence for everything, which begins with the property's name.
func TestExplain(t *testing.T) {
	t.Parallel()
	schema := schemaOf(t, WorkflowExecutions)
	seen := 0
	visit := func(at string, property *apiextensionsv1.JSONSchemaProps) {
		seen++
		name := path.Ext(at)[1:]
		text := strings.Join(strings.Fields(property.Description), " ")
		switch at {
		case ".metadata": // kubectl knows it
			return
		case ".apiVersion", ".kind": // the words of Kubernetes
			name = strings.ToUpper(name[:1]) + name[1:]
			text, _, _ = strings.Cut(text, " More info: ")
		}
		if !sentences.MatchString(text) {
			t.Errorf("%s: not a full sentence: %q", at, text)
		}
		if first, _, _ := strings.Cut(text, " "); !strings.HasSuffix(at, "[]") && !strings.EqualFold(first, name) {
			t.Errorf("%s: the description does not begin with the name: %q", at, text)
		}
	}
	walk("", schema, visit)
	if seen < 100 {
		t.Errorf("only %d properties were seen", seen)
	}
}

// TestDefaultsOfReleases holds that what a user leaves out means what it meant in every release. The status is the
// controller's alone, and may get a default.
func TestDefaultsOfReleases(t *testing.T) {
	t.Parallel()
	releases, err := filepath.Glob("../../api/v1alpha1/testdata/*/crd.yaml")
	if err != nil || len(releases) == 0 {
		t.Fatalf("no releases: %v", err)
	}
	now := defaults(schemaOf(t, WorkflowExecutions))
	for _, release := range releases {
		manifest, err := os.ReadFile(release)
		if err != nil {
			t.Fatal(err)
		}
		then := schemaOf(t, manifest)
		known := map[string]bool{}
		walk("", then, func(at string, _ *apiextensionsv1.JSONSchemaProps) { known[at] = true })
		still := map[string]string{}
		for at, value := range now {
			if known[at] {
				still[at] = value
			}
		}
		want := defaults(then)
		if diff := cmp.Diff(want, still); diff != "" || len(want) == 0 {
			t.Errorf("%s (-then +now):\n%s", release, diff)
		}
	}
}

// defaults are the defaults in the specification.
func defaults(schema *apiextensionsv1.JSONSchemaProps) map[string]string {
	found := map[string]string{}
	walk("", schema, func(at string, property *apiextensionsv1.JSONSchemaProps) {
		if strings.HasPrefix(at, ".spec") && property.Default != nil {
			found[at] = string(property.Default.Raw)
		}
	})
	return found
}
