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

// schema validates objects like the API server does with the CustomResourceDefinition.
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

// validate removes unknown fields from an object, sets its defaults, and returns the paths of the unknown fields and the
// validation errors.
func (s *schema) validate(object map[string]any) (unknown []string, invalid field.ErrorList) {
	unknown = pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	invalid = validation.ValidateCustomResource(nil, object, s.openAPI)
	invalid = append(invalid, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(invalid) > 0 {
		return unknown, invalid // the rules expect an object that matches the schema
	}
	// The message of a rule is complete without the value.
	broken, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, apicel.RuntimeCELCostBudget)
	for _, e := range broken {
		e.BadValue = nil
	}
	return unknown, broken
}

// pathOf returns the path of an error. A rule on the whole object names the field in its message. For a duplicate item it
// is the path of the key.
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

// messageOf returns the message of an error without its path.
func messageOf(e *field.Error) string {
	if e.Type == field.ErrorTypeRequired {
		return "the field is required"
	}
	detail := e.Detail
	if _, rest, found := strings.Cut(detail, " in body "); found {
		detail = rest
	}
	value := formatValue(e.BadValue)
	switch {
	case e.Type == field.ErrorTypeDuplicate:
		return strings.TrimSpace(value + " is duplicated")
	case e.Type == field.ErrorTypeTypeInvalid, value == "":
		return detail
	}
	return fmt.Sprintf("%s: %s", value, detail)
}

// formatValue returns a short value for a message; empty for one that does not fit on a line.
func formatValue(value any) string {
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
				return formatValue(only)
			}
		}
	}
	return ""
}
