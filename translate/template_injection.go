package translate

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// inputTag matches the beginning of a template tag that reads an input, simple ("{{inputs.…}}") or an expression ("{{=…}}").
var inputTag = regexp.MustCompile(`(?s)\{\{(=.*?|\s*)\binputs\b`)

// checkTemplateInjection refuses inputs in fields where a value would become part of a program. The environment of a
// container is not such a field.
func checkTemplateInjection(t *wfv1.Template) error {
	texts := map[string][]string{} // by field
	add := func(field string, c *corev1.Container) {
		texts[field+".image"] = append(texts[field+".image"], c.Image)
		texts[field+".command"] = append(texts[field+".command"], c.Command...)
		texts[field+".args"] = append(texts[field+".args"], c.Args...)
	}
	if t.Container != nil {
		add("container", t.Container)
	}
	if t.Script != nil {
		add("script", &t.Script.Container)
		texts["script.source"] = []string{t.Script.Source}
	}
	instead := "pass the value in env instead"
	if r := t.Resource; r != nil {
		texts["resource.action"], texts["resource.mergeStrategy"] = []string{r.Action}, []string{r.MergeStrategy}
		texts["resource.flags"] = r.Flags
		texts["resource.successCondition"], texts["resource.failureCondition"] = []string{r.SuccessCondition}, []string{r.FailureCondition}
		if err := checkManifest(r.Manifest); err != nil {
			return err
		}
		instead = "only the manifest may, as {{=toJson(inputs.parameters['name'])}}"
	}
	for i := range t.InitContainers {
		add("initContainers", &t.InitContainers[i].Container)
	}
	for i := range t.Sidecars {
		add("sidecars", &t.Sidecars[i].Container)
	}
	for _, field := range sortedKeys(texts) {
		for _, text := range texts[field] {
			if inputTag.MatchString(text) {
				return fmt.Errorf("%s reads an input: %s", field, instead)
			}
		}
	}
	return nil
}

var templateTag = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// checkManifest refuses inputs that could become more than one value of a manifest. A resource template has no environment
// for values; encoded as JSON, which is YAML too, a value remains one value.
func checkManifest(manifest string) error {
	for _, tag := range templateTag.FindAllString(manifest, -1) {
		if inputTag.MatchString(tag) && !isJSON(tag) {
			return fmt.Errorf("resource.manifest reads an input as %s: write {{=toJson(inputs.parameters['name'])}}", tag)
		}
	}
	return nil
}

// isJSON reports whether a template tag is a single call of toJson.
func isJSON(tag string) bool {
	expression, isExpression := strings.CutPrefix(strings.TrimSuffix(tag, "}}"), "{{=")
	call, isCall := strings.CutPrefix(strings.TrimSpace(expression), "toJson(")
	if !isExpression || !isCall {
		return false
	}
	depth := 1
	for i, c := range []byte(call) {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i == len(call)-1
		}
	}
	return false
}
