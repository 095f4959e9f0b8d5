package controlplane

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// auditPolicy logs the requests of the controller, after their responses, and no others.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
	{"level": "Metadata", "users": ["` + ControllerUser + `"]}, {"level": "None"}]}`

// audit makes the API server log the requests of the controller.
func (c *ControlPlane) audit() error {
	policy := filepath.Join(c.folder, "audit-policy.json")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).Set("audit-log-path", c.auditLog()).Set("audit-log-mode", "blocking")
	return nil
}

func (c *ControlPlane) auditLog() string { return filepath.Join(c.folder, "audit.log") }

// Request is a request of the controller in the audit log.
type Request struct {
	Verb string `json:"verb"`
	// ObjectRef is empty for requests that concern no object.
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// Resource is the requested resource with its subresource.
func (r *Request) Resource() string {
	return strings.TrimSuffix(r.ObjectRef.Resource+"/"+r.ObjectRef.Subresource, "/")
}

// Requests returns the requests that were answered since the previous call.
func (c *ControlPlane) Requests() (requests []Request, err error) {
	requests, c.audited, err = readAudit(c.auditLog(), c.audited)
	return requests, err
}

// readAudit reads an audit log from an offset, and returns the next offset.
func readAudit(path string, offset int64) (requests []Request, next int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, offset, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, offset, err
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // an incomplete line is read by the next call
			return requests, offset, nil
		}
		if err != nil {
			return nil, offset, err
		}
		offset += int64(len(line))
		var r Request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, offset, fmt.Errorf("read the audit log: %w", err)
		}
		requests = append(requests, r)
	}
}

// UsedRights returns the rights that the controller has used, in the format and order of Rights.
func (c *ControlPlane) UsedRights() ([]string, error) {
	requests, _, err := readAudit(c.auditLog(), 0)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for i := range requests {
		if r := &requests[i]; r.Resource() != "" && r.ResponseStatus.Code != http.StatusForbidden {
			used[right(r.Verb, r.ObjectRef.APIGroup, r.Resource())] = true
		}
	}
	return sorted(used), nil
}

// Rights returns the rights that rules grant, as sorted pairs of verb and resource with its group.
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
	return sorted(rights)
}

func right(verb, group, resource string) string {
	if group == "" {
		return verb + " " + resource
	}
	return verb + " " + group + "/" + resource
}

func sorted(rights map[string]bool) []string {
	list := make([]string, 0, len(rights))
	for r := range rights {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}
