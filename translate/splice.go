package translate

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// takesInput finds a template tag, simple ("{{inputs.…}}") or an expression ("{{=…}}"), that takes in an input.
var takesInput = regexp.MustCompile(`(?s)\{\{(=.*?|\s*)\binputs\b`)

// checkNoSplice refuses inputs in places where a value would become a program. Environment values are the way in.
func checkNoSplice(t *wfv1.Template) error {
	places := map[string][]string{}
	add := func(place string, c *corev1.Container) {
		places[place+".image"] = append(places[place+".image"], c.Image)
		places[place+".command"] = append(places[place+".command"], c.Command...)
		places[place+".args"] = append(places[place+".args"], c.Args...)
	}
	if t.Container != nil {
		add("container", t.Container)
	}
	if t.Script != nil {
		add("script", &t.Script.Container)
		places["script.source"] = []string{t.Script.Source}
	}
	if r := t.Resource; r != nil {
		places["resource.action"], places["resource.mergeStrategy"] = []string{r.Action}, []string{r.MergeStrategy}
		places["resource.flags"] = r.Flags
		places["resource.successCondition"], places["resource.failureCondition"] = []string{r.SuccessCondition}, []string{r.FailureCondition}
		if err := checkManifest(r.Manifest); err != nil {
			return err
		}
	}
	for i := range t.InitContainers {
		add("initContainers", &t.InitContainers[i].Container)
	}
	for i := range t.Sidecars {
		add("sidecars", &t.Sidecars[i].Container)
	}
	for _, field := range sortedKeys(places) {
		for _, text := range places[field] {
			if takesInput.MatchString(text) {
				return fmt.Errorf("%s takes in an input: %s", field, wayIn(t))
			}
		}
	}
	return nil
}

// wayIn says how a value gets into a template of this kind.
func wayIn(t *wfv1.Template) string {
	if t.Resource != nil {
		return "only the manifest may, as {{=toJson(inputs.parameters['name'])}}"
	}
	return "pass it by env instead"
}

var templateTag = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// checkManifest refuses inputs that could become more than one value of a manifest. A resource template has no environment
// that values could come in by; as JSON, which is YAML too, a value stays one.
func checkManifest(manifest string) error {
	for _, tag := range templateTag.FindAllString(manifest, -1) {
		if takesInput.MatchString(tag) && !isJSON(tag) {
			return fmt.Errorf("resource.manifest takes in an input by %s: write {{=toJson(inputs.parameters['name'])}}", tag)
		}
	}
	return nil
}

// isJSON reports whether a template tag is one call of toJson and nothing else.
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
