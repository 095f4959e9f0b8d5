package lint

import (
	"fmt"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// lineOf returns the line of a field, or of its nearest ancestor in the file.
func (d *document) lineOf(step, path string) int {
	if step != "" {
		path = fmt.Sprintf("spec.steps[%s].%s", step, path)
	}
	_, line := d.find(path)
	return d.offset + line
}

// find returns the node at a path and its line. If there is none, the node is nil and the line that of its nearest
// ancestor.
func (d *document) find(path string) (*yamlv3.Node, int) {
	node, line := d.node, d.node.Line
	for _, segment := range segments(path) {
		next, at := descend(node, segment)
		if next == nil {
			return nil, line
		}
		node, line = next, at
	}
	return resolve(node), line
}

// segments splits a path such as parameters[name].valueFrom into parameters, [name] and valueFrom.
func segments(path string) []string {
	var all []string
	for path != "" {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return append(all, path)
			}
			all = append(all, path[:end+1])
			path = strings.TrimPrefix(path[end+1:], ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return append(all, path)
		}
		all = append(all, path[:end])
		path = strings.TrimPrefix(path[end:], ".")
	}
	return all
}

// descend returns the child of a node that a segment names, and the line where it starts.
func descend(node *yamlv3.Node, segment string) (*yamlv3.Node, int) {
	node = resolve(node)
	key, isItem := strings.CutPrefix(segment, "[")
	if !isItem {
		for i := 0; node.Kind == yamlv3.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == segment {
				return node.Content[i+1], node.Content[i].Line
			}
		}
		return nil, 0
	}
	key = strings.TrimSuffix(key, "]")
	if node.Kind != yamlv3.SequenceNode {
		return nil, 0
	}
	if item := named(node, key); item != nil {
		return item, item.Line
	}
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(node.Content) {
		return node.Content[i], node.Content[i].Line
	}
	return nil, 0
}

// named returns the last item with this name: the second of two is the duplicate.
func named(list *yamlv3.Node, name string) *yamlv3.Node {
	for i := len(list.Content) - 1; i >= 0; i-- {
		for _, key := range []string{"name", "step"} {
			if value := child(list.Content[i], key); value != nil && value.Value == name {
				return list.Content[i]
			}
		}
	}
	return nil
}

// child returns the value of a key in a mapping, or nil.
func child(node *yamlv3.Node, key string) *yamlv3.Node {
	value, _ := descend(node, key)
	if value == nil {
		return nil
	}
	return resolve(value)
}

func resolve(node *yamlv3.Node) *yamlv3.Node {
	if node.Kind == yamlv3.AliasNode {
		return node.Alias
	}
	return node
}

// repeatedKeys reports keys that a mapping has twice, because the parser silently drops the first one.
func (d *document) repeatedKeys() []Problem {
	var problems []Problem
	var walk func(node *yamlv3.Node, path string)
	walk = func(node *yamlv3.Node, path string) {
		switch node.Kind {
		case yamlv3.MappingNode:
			seen := map[string]bool{}
			for i := 0; i+1 < len(node.Content); i += 2 {
				key := node.Content[i]
				below := strings.TrimPrefix(path+"."+key.Value, ".")
				if seen[key.Value] {
					problems = append(problems, d.problemAt(d.offset+key.Line, d.locate("", below), "the key is duplicated"))
				}
				seen[key.Value] = true
				walk(node.Content[i+1], below)
			}
		case yamlv3.SequenceNode:
			for i, item := range node.Content {
				walk(item, fmt.Sprintf("%s[%d]", path, i))
			}
		case yamlv3.DocumentNode, yamlv3.ScalarNode, yamlv3.AliasNode:
		}
	}
	walk(d.node, "")
	return problems
}
