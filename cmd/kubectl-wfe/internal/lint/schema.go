package lint

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apicel "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/config/crd"
)

// schema does to an object what the API server does with the CustomResourceDefinition.
type schema struct {
	structural *structuralschema.Structural
	openAPI    validation.SchemaValidator
	rules      *schemacel.Validator
}

func newSchema() (*schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.WorkflowExecutions, &definition); err != nil {
		return nil, fmt.Errorf("read the definition of WorkflowExecutions: %w", err)
	}
	for i := range definition.Spec.Versions {
		version := &definition.Spec.Versions[i]
		if version.Name != wfev1.GroupVersion.Version {
			continue
		}
		var properties apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &properties, nil); err != nil {
			return nil, fmt.Errorf("read the schema of WorkflowExecutions: %w", err)
		}
		structural, err := structuralschema.NewStructural(&properties)
		if err != nil {
			return nil, fmt.Errorf("read the schema of WorkflowExecutions: %w", err)
		}
		openAPI, _, err := validation.NewSchemaValidator(&properties)
		if err != nil {
			return nil, fmt.Errorf("read the schema of WorkflowExecutions: %w", err)
		}
		return &schema{structural: structural, openAPI: openAPI, rules: schemacel.NewValidator(structural, true, apicel.PerCallLimit)}, nil
	}
	return nil, fmt.Errorf("the definition of WorkflowExecutions has no version %s", wfev1.GroupVersion.Version)
}

// admit takes out of an object what the schema does not know, gives it the defaults, and returns the paths of the
// unknown fields and all that is invalid.
func (s *schema) admit(object map[string]any) (unknown []string, invalid field.ErrorList) {
	unknown = pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	invalid = validation.ValidateCustomResource(nil, object, s.openAPI)
	invalid = append(invalid, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(invalid) > 0 {
		return unknown, invalid // the rules are written for objects of the right shape
	}
	// A rule's message is a sentence of its own, so nothing else is told of it.
	broken, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, apicel.RuntimeCELCostBudget)
	for _, e := range broken {
		e.BadValue = nil
	}
	return unknown, broken
}

// pathOf is the path of what is wrong. A rule on the whole object says in its message what it is about, and of two items
// with the same key it is the key that is wrong.
func pathOf(e *field.Error) string {
	path := strings.TrimPrefix(e.Field, "<nil>")
	if path == "" && strings.HasPrefix(e.Detail, nameField+" ") {
		return nameField
	}
	if key, isMap := e.BadValue.(map[string]any); isMap && e.Type == field.ErrorTypeDuplicate && len(key) == 1 {
		for name := range key {
			return path + "." + name
		}
	}
	return path
}

const nameField = "metadata.name"

// describe says what is wrong without the path, which is told beside it.
func describe(e *field.Error) string {
	if e.Type == field.ErrorTypeRequired {
		return "the field is required"
	}
	detail := e.Detail
	if _, said, found := strings.Cut(detail, " in body "); found {
		detail = said
	}
	value := printed(e.BadValue)
	switch {
	case e.Type == field.ErrorTypeDuplicate:
		return strings.TrimSpace(value + " is given twice")
	case e.Type == field.ErrorTypeTypeInvalid, value == "":
		return detail
	}
	return fmt.Sprintf("%s: %s", value, detail)
}

// printed is a value as it can be read in one line; empty for one that cannot.
func printed(value any) string {
	switch v := value.(type) {
	case string:
		if len(v) > 64 {
			return ""
		}
		return fmt.Sprintf("%q", v)
	case bool, int, int32, int64, float64:
		return fmt.Sprint(v)
	case map[string]any:
		for _, only := range v {
			if len(v) == 1 {
				return printed(only)
			}
		}
	}
	return ""
}
