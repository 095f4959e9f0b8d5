package lint

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Problem is what is wrong at one place of a manifest.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Execution is the name of the WorkflowExecution; empty where there is none.
	Execution string `json:"execution,omitempty"`
	// Step is the step at fault; empty where the fault is not one step's.
	Step string `json:"step,omitempty"`
	// Field is the path of the field below the step, or in the object where Step is empty.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String gives the problem in one line that editors can jump to.
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

// document is one WorkflowExecution as it is written in a file.
type document struct {
	file   string
	object map[string]any
	node   *yamlv3.Node
	// offset is how many lines of the file come before the node's document.
	offset int
}

// read finds the WorkflowExecutions in the YAML or JSON documents of a file, those in lists too. Objects of other kinds
// are passed over. The problems are of documents that cannot be read at all.
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

// split cuts a stream at its "---" lines.
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
	// The values are read as kubectl reads them, which differs from the nodes' YAML 1.2 in words such as yes and on.
	encoded, err := yaml.YAMLToJSON(p.text)
	if err != nil {
		return nil, syntaxProblem(file, p.offset, err)
	}
	var object map[string]any
	if err := utiljson.Unmarshal(encoded, &object); err != nil {
		return nil, &Problem{File: file, Line: p.offset + root.Content[0].Line, Message: "the document is not an object"}
	}
	return collect(&document{file: file, object: object, node: root.Content[0], offset: p.offset}), nil
}

// collect is the WorkflowExecutions in an object: itself, or those in its items.
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

// syntaxProblem moves the line that the parser tells out of its message.
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

// name is what the execution is called, or will be called like.
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
