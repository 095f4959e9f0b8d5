package lint

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Problem is an error at one location in a manifest.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Execution is the name of the WorkflowExecution; empty outside of one.
	Execution string `json:"execution,omitempty"`
	// Step is the name of the step; empty for a problem outside of the steps.
	Step string `json:"step,omitempty"`
	// Field is the path of the field, relative to the step if there is one.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String returns the problem as one line in the file:line: message form that editors recognize.
func (p Problem) String() string {
	parts := []string{fmt.Sprintf("%s:%d", p.File, p.Line)}
	if p.Execution != "" {
		parts = append(parts, p.Execution)
	}
	if p.Step != "" {
		parts = append(parts, fmt.Sprintf("step %q", p.Step))
	}
	if p.Field != "" {
		parts = append(parts, p.Field)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// document is one WorkflowExecution in a file.
type document struct {
	file   string
	object map[string]any
	node   *yamlv3.Node
	// offset is the number of lines before the node's YAML document.
	offset int
}

// read returns the WorkflowExecutions in the YAML or JSON documents of a file, including those in lists. It ignores
// objects of other kinds. The problems are documents that cannot be parsed.
func read(file string, content []byte) ([]*document, []Problem) {
	var documents []*document
	var problems []Problem
	for _, part := range split(content) {
		found, problem := readPart(file, part)
		documents = append(documents, found...)
		if problem != nil {
			problems = append(problems, *problem)
		}
	}
	return documents, problems
}

type part struct {
	offset int
	text   []byte
}

// split splits a stream at its "---" lines.
func split(content []byte) []part {
	var parts []part
	var current part
	for number, line := range bytes.SplitAfter(content, []byte("\n")) {
		if rest, separates := bytes.CutPrefix(line, []byte("---")); separates {
			if rest = bytes.TrimSpace(rest); len(rest) == 0 || rest[0] == '#' {
				parts = append(parts, current)
				current = part{offset: number + 1}
				continue
			}
		}
		current.text = append(current.text, line...)
	}
	return append(parts, current)
}

func readPart(file string, p part) ([]*document, *Problem) {
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(p.text, &root); err != nil {
		return nil, syntaxProblem(file, p.offset, err)
	}
	if len(root.Content) == 0 {
		return nil, nil
	}
	// kubectl parses YAML 1.1, where words such as yes and on are booleans. The nodes follow YAML 1.2.
	encoded, err := yaml.YAMLToJSON(p.text)
	if err != nil {
		return nil, syntaxProblem(file, p.offset, err)
	}
	var object map[string]any
	if err := utiljson.Unmarshal(encoded, &object); err != nil {
		return nil, &Problem{File: file, Line: p.offset + root.Content[0].Line, Message: "the document is not a mapping"}
	}
	return collect(&document{file: file, object: object, node: root.Content[0], offset: p.offset}), nil
}

// collect returns the WorkflowExecutions in an object: itself, or those in its items.
func collect(d *document) []*document {
	kind, _ := d.object["kind"].(string)
	if kind == wfev1.Kind {
		return []*document{d}
	}
	items, _ := d.object["items"].([]any)
	nodes := child(d.node, "items")
	if !strings.HasSuffix(kind, "List") || nodes == nil || len(nodes.Content) != len(items) {
		return nil
	}
	var found []*document
	for i := range items {
		if object, isObject := items[i].(map[string]any); isObject {
			found = append(found, collect(&document{file: d.file, object: object, node: nodes.Content[i], offset: d.offset})...)
		}
	}
	return found
}

var errorLine = regexp.MustCompile(`line (\d+): `)

// syntaxProblem moves the line number from the parser's message to the problem.
func syntaxProblem(file string, offset int, err error) *Problem {
	p := &Problem{File: file, Line: offset + 1, Message: err.Error()}
	var typed *yamlv3.TypeError
	if errors.As(err, &typed) && len(typed.Errors) > 0 {
		p.Message = typed.Errors[0]
	}
	if match := errorLine.FindStringSubmatch(p.Message); match != nil {
		line, _ := strconv.Atoi(match[1]) // digits only
		p.Line = offset + line
		p.Message = strings.Replace(p.Message, match[0], "", 1)
	}
	return p
}

// name returns the name of the execution, or the form of its generated name.
func (d *document) name() string {
	metadata, _ := d.object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	if name == "" {
		if prefix, _ := metadata["generateName"].(string); prefix != "" {
			return prefix + "xxxxx"
		}
	}
	return name
}

// Kinds returns the kinds of the objects in a file, sorted and without duplicates.
func Kinds(content []byte) []string {
	var kinds []string
	for _, part := range split(content) {
		var object struct {
			Kind  string
			Items []struct{ Kind string }
		}
		if err := yaml.Unmarshal(part.text, &object); err != nil {
			continue
		}
		for _, item := range object.Items {
			kinds = append(kinds, item.Kind)
		}
		if len(object.Items) == 0 {
			kinds = append(kinds, object.Kind)
		}
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "" })
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// SimilarKind returns a kind that is probably a misspelled WorkflowExecution, or empty.
func SimilarKind(kinds []string) string {
	for _, kind := range kinds {
		if nearest(kind, []string{wfev1.Kind}) != "" {
			return kind
		}
	}
	return ""
}
