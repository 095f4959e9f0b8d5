package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// objectInterval is the time between two reads of an object: a role can permit get without list and watch.
const objectInterval = 2 * time.Second

func waitFor() contract.Action {
	return contract.Action{
		Name: "wait-for",
		Summary: "Waits for a condition, for a value at a JSONPath or for the deletion of an object of any kind except Secret, " +
			"as kubectl wait does.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "api-version", Description: "The API version of the object, like apps/v1.", Required: true, Check: apiVersion},
			{Name: "kind", Description: "The kind of the object, like Deployment.", Required: true},
			{Name: "name", Description: "The name of the object.", Required: true, Check: contract.ObjectName},
			{
				Name: "for", Required: true, Base64: true, Check: expectationText,
				Description: "What to wait for: condition=Ready, condition=Ready=False, jsonpath={.status.phase}=Running or delete.",
			},
			stableParameter(), contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "met", Description: `"true" if the object was as expected when last observed, otherwise "false".`},
		},
		Rules: []rbacv1.PolicyRule{}, AggregatedVerbs: []string{"get"},
		Run: runWaitFor,
	}
}

// expectation checks an object, which is nil if it does not exist.
type expectation func(found *unstructured.Unstructured) verdict

func expectationText(value string) error {
	_, err := parseExpectation(value)
	return err
}

func parseExpectation(text string) (expectation, error) {
	kind, rest, _ := strings.Cut(text, "=")
	switch {
	case text == "delete":
		return func(found *unstructured.Unstructured) verdict {
			return verdict{done: found == nil, missing: "it exists"}
		}, nil
	case kind == "condition" && rest != "":
		name, status, isSet := strings.Cut(rest, "=")
		if !isSet {
			status = string(metav1.ConditionTrue)
		}
		return existing(func(found *unstructured.Unstructured) verdict { return checkCondition(found, name, status) }), nil
	case kind == "jsonpath" && strings.HasPrefix(rest, "{"):
		i := strings.LastIndex(rest, "}")
		path := jsonpath.New("for").AllowMissingKeys(true)
		if err := path.Parse(rest[:i+1]); err != nil {
			return nil, fmt.Errorf("invalid JSONPath: %w", err)
		}
		want, isSet := strings.CutPrefix(rest[i+1:], "=")
		return existing(func(found *unstructured.Unstructured) verdict { return checkPath(found, path, want, isSet) }), nil
	default:
		return nil, errors.New("must be condition=<type>[=<status>], jsonpath={<path>}[=<value>] or delete")
	}
}

func existing(check expectation) expectation {
	return func(found *unstructured.Unstructured) verdict {
		if found == nil {
			return verdict{missing: "it does not exist"}
		}
		return check(found)
	}
}

// checkCondition ignores a condition that its controller set for an older generation, as kubectl wait does.
func checkCondition(found *unstructured.Unstructured, name, status string) verdict {
	conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
	for _, item := range conditions {
		c, ok := item.(map[string]any)
		if !ok || !strings.EqualFold(fmt.Sprint(c["type"]), name) {
			continue
		}
		observed, isSet, _ := unstructured.NestedInt64(c, "observedGeneration")
		if !isSet {
			observed, isSet, _ = unstructured.NestedInt64(found.Object, "status", "observedGeneration")
		}
		if isSet && observed < found.GetGeneration() {
			return verdict{missing: "its controller has not observed the present generation"}
		}
		now := fmt.Sprint(c["status"])
		missing := fmt.Sprintf("condition %s is %s, not %s", name, now, status)
		if message, ok := c["message"].(string); ok && message != "" {
			missing += ": " + message
		}
		return verdict{done: strings.EqualFold(now, status), missing: missing}
	}
	return verdict{missing: "it has no condition " + name}
}

// checkPath does not report the value, which can be sensitive.
func checkPath(found *unstructured.Unstructured, path *jsonpath.JSONPath, want string, isSet bool) verdict {
	var b bytes.Buffer
	if err := path.Execute(&b, found.Object); err != nil {
		return verdict{missing: "the JSONPath cannot be evaluated: " + err.Error()}
	}
	if !isSet {
		return verdict{done: b.Len() > 0, missing: "the JSONPath has no value"}
	}
	return verdict{done: b.String() == want, missing: "the value at the JSONPath is not " + strconv.Quote(want)}
}

func runWaitFor(ctx context.Context, s *contract.Step) error {
	expects, err := parseExpectation(s.String("for"))
	if err != nil {
		return contract.Invalid("parameter for: %w", err)
	}
	gvk, client, err := resolveObject(s)
	if err != nil {
		return err
	}
	name := s.String("name")
	p := &progress{s: s, kind: strings.ToLower(gvk.Kind), name: name}
	read := func(ctx context.Context) (*unstructured.Unstructured, error) {
		found, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s %s: %w", p.kind, name, err)
		default:
			return found, nil
		}
	}
	met := false
	assess := func(found *unstructured.Unstructured) (verdict, error) {
		v := expects(found)
		met = v.done
		return v, nil
	}
	return errors.Join(observeHealth(ctx, s, p, poll(p, objectInterval, read), assess), s.Output("met", strconv.FormatBool(met)))
}
