package controlplane

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// auditPolicy logs what the controller asks for and nothing else.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
	{"level": "Metadata", "users": ["` + ControllerUser + `"]}, {"level": "None"}]}`

// audit lets the API server write down what the controller asks for.
func (c *ControlPlane) audit() error {
	policy := filepath.Join(c.folder, "audit-policy.json")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", c.auditLog())
	return nil
}

func (c *ControlPlane) auditLog() string { return filepath.Join(c.folder, "audit.log") }

// auditEvent is what matters of a line of the audit log.
type auditEvent struct {
	Verb      string `json:"verb"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// UsedRights are the rights that the controller has made use of until now, as Rights writes them, in order.
func (c *ControlPlane) UsedRights() ([]string, error) {
	file, err := os.Open(c.auditLog())
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	used := map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if e.ObjectRef == nil || e.ResponseStatus.Code == http.StatusForbidden {
			continue
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		used[right(e.Verb, e.ObjectRef.APIGroup, resource)] = true
	}
	return inOrder(used), lines.Err()
}

// Rights are what rules allow, as verb and resource with its group, in order.
func Rights(rules ...rbacv1.PolicyRule) []string {
	rights := map[string]bool{}
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights[right(verb, group, resource)] = true
				}
			}
		}
	}
	return inOrder(rights)
}

func right(verb, group, resource string) string {
	if group == "" {
		return verb + " " + resource
	}
	return verb + " " + group + "/" + resource
}

func inOrder(rights map[string]bool) []string {
	list := make([]string, 0, len(rights))
	for r := range rights {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}
