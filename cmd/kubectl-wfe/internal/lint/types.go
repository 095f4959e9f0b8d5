package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// wrongType matches the detail of a type error: the expected type and the type in the file.
var wrongType = regexp.MustCompile(`must be of type (\w+): "(\w+)"$`)

// typeProblem explains a type error by the YAML scalar that caused it.
func (d *document) typeProblem(e *field.Error) (message string, found bool) {
	match := wrongType.FindStringSubmatch(e.Detail)
	if match == nil {
		return "", false
	}
	want, got := match[1], match[2]
	node, _ := d.find(pathOf(e))
	switch {
	case node == nil || node.Kind != yamlv3.ScalarNode:
	case want == "string" && isPlain(node):
		return quoteIt(node, got), true
	case !isPlain(node) && isOfType(node.Value, want):
		return fmt.Sprintf("%q is a string: remove the quotes", node.Value), true
	}
	return fmt.Sprintf("must be of type %s, not %s", want, got), true
}

func isPlain(node *yamlv3.Node) bool {
	return node.Style&(yamlv3.SingleQuotedStyle|yamlv3.DoubleQuotedStyle|yamlv3.LiteralStyle|yamlv3.FoldedStyle) == 0
}

func isOfType(text, kind string) bool {
	var err error
	switch kind {
	case "boolean":
		_, err = strconv.ParseBool(text)
	case "integer":
		_, err = strconv.ParseInt(text, 10, 64)
	case "number":
		_, err = strconv.ParseFloat(text, 64)
	default:
		return false
	}
	return err == nil
}

func quoteIt(node *yamlv3.Node, got string) string {
	if got == "integer" {
		got = "number"
	}
	return fmt.Sprintf("YAML reads %s as a %s: quote it as %q", node.Value, got, node.Value)
}

// fixMetadata reports metadata that is not a string, such as the namespace n, which YAML 1.1 reads as false. It sets the
// text of the file, because an object with another type cannot be converted.
func (d *document) fixMetadata() []Problem {
	metadata, _ := d.object["metadata"].(map[string]any)
	node := child(d.node, "metadata")
	if metadata == nil || node == nil {
		return nil
	}
	problems := d.fixStrings(metadata, node, "metadata", []string{"name", "generateName", "namespace"})
	for _, name := range []string{"labels", "annotations"} {
		values, _ := metadata[name].(map[string]any)
		below := child(node, name)
		if values == nil || below == nil {
			continue
		}
		keys := make([]string, 0, len(values))
		for key := range values {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		problems = append(problems, d.fixStrings(values, below, "metadata."+name, keys)...)
	}
	return problems
}

func (d *document) fixStrings(values map[string]any, node *yamlv3.Node, path string, keys []string) []Problem {
	var problems []Problem
	for _, key := range keys {
		value, has := values[key]
		if _, isString := value.(string); isString || !has || value == nil {
			continue
		}
		scalar := child(node, key)
		message, text := "must be a string", ""
		if scalar != nil && scalar.Kind == yamlv3.ScalarNode {
			message, text = quoteIt(scalar, typeName(value)), scalar.Value
		}
		line := node.Line
		if scalar != nil {
			line = scalar.Line
		}
		values[key] = text
		problems = append(problems, d.problemAt(d.offset+line, location{path: path + "." + key}, message))
	}
	return problems
}

func typeName(value any) string {
	if _, isBool := value.(bool); isBool {
		return "boolean"
	}
	return "number"
}
