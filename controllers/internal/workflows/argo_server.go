package workflows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// argoServerTimeout bounds one request to the Argo server.
	argoServerTimeout = 10 * time.Second
	// maxArgoAnswer bounds what is read of an answer: 10,000 nodes of 6 KiB.
	maxArgoAnswer = 64 << 20
	maxArgoError  = 512
)

// ArgoServer reads and writes the nodes that Argo keeps in a database, through the API of the Argo server: only Argo
// itself knows that database.
type ArgoServer struct {
	base string
	http *http.Client
}

// NewArgoServer makes a client of the Argo server at a base URL. The configuration says how to trust it and which token
// to show; its Host is not used. The error says what of it is not valid.
func NewArgoServer(base string, config *rest.Config) (*ArgoServer, error) {
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the URL of a server", base)
	}
	config = rest.CopyConfig(config)
	config.Timeout = argoServerTimeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the Argo server: %w", err)
	}
	return &ArgoServer{base: strings.TrimSuffix(base, "/"), http: client}, nil
}

// nodes reads the nodes of a Workflow.
func (s *ArgoServer) nodes(ctx context.Context, wf *wfv1.Workflow) (wfv1.Nodes, error) {
	answer, err := s.ask(ctx, http.MethodGet, wf, "?fields=metadata.uid,status.nodes", nil)
	if err != nil {
		return nil, err
	}
	read := &struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Status   struct {
			Nodes wfv1.Nodes `json:"nodes"`
		} `json:"status"`
	}{}
	switch err := json.Unmarshal(answer, read); {
	case err != nil:
		return nil, fmt.Errorf("read the Argo server's answer: %w", err)
	case read.Metadata.UID != wf.UID:
		return nil, fmt.Errorf("the Argo server returned another Workflow of that name, with UID %q", read.Metadata.UID)
	case len(read.Status.Nodes) == 0:
		return nil, errors.New("the Argo server's answer has no nodes")
	}
	return read.Status.Nodes, nil
}

// decide writes a decision onto the node of an approval that waits, and returns the Workflow's metadata after that.
func (s *ArgoServer) decide(ctx context.Context, wf *wfv1.Workflow, decision translate.Decision) (*metav1.ObjectMeta, error) {
	body, err := json.Marshal(map[string]string{
		"namespace":         wf.Namespace,
		"name":              wf.Name,
		"nodeFieldSelector": "id=" + decision.NodeID,
		"phase":             string(decision.Phase),
		"message":           decision.Message,
	})
	if err != nil {
		return nil, fmt.Errorf("encode a decision: %w", err)
	}
	answer, err := s.ask(ctx, http.MethodPut, wf, "/set", body)
	if err != nil {
		return nil, err
	}
	written := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(answer, written); err != nil {
		return nil, fmt.Errorf("read the Argo server's answer: %w", err)
	}
	return &written.ObjectMeta, nil
}

// argoServerError is an error response of the Argo server.
type argoServerError struct {
	status  int
	message string
}

func (e *argoServerError) Error() string {
	return fmt.Sprintf("the Argo server answers %d %s: %s", e.status, http.StatusText(e.status), e.message)
}

// IsForbidden reports whether the Argo server refused a request for want of a permission, which only an administrator can
// change.
func IsForbidden(err error) bool {
	var refused *argoServerError
	return errors.As(err, &refused) && (refused.status == http.StatusForbidden || refused.status == http.StatusUnauthorized)
}

// readError takes the message out of an answer; the response of a proxy may not be JSON.
func readError(status int, answer []byte) error {
	response := struct{ Message string }{}
	if err := json.Unmarshal(answer, &response); err != nil || response.Message == "" {
		response.Message = string(answer)
	}
	return &argoServerError{status: status, message: translate.Truncate(response.Message, maxArgoError)}
}

func (s *ArgoServer) ask(ctx context.Context, method string, wf *wfv1.Workflow, suffix string, body []byte) ([]byte, error) {
	address := s.base + "/api/v1/workflows/" + url.PathEscape(wf.Namespace) + "/" + url.PathEscape(wf.Name) + suffix
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the Argo server: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the Argo server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // the body was read, or the error is returned
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxArgoAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the Argo server's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, readError(response.StatusCode, answer)
	}
	return answer, nil
}
