package actions

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

const (
	// httpInterval is the time between two rounds of requests.
	httpInterval = time.Second
	// maxBody bounds the part of a response body that is read.
	maxBody = 1 << 20
)

func verifyHTTP() contract.Action {
	return contract.Action{
		Name: "verify-http",
		Summary: "Sends an HTTP request to every ready endpoint of a Service, without cluster DNS, and waits until all responses are " +
			"as expected, in as many consecutive rounds as given.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "service", Description: "The Service whose endpoints to verify.", Required: true, Check: contract.ObjectName},
			{Name: "port", Description: "The name or number of the Service's port; the first one if empty."},
			{Name: "scheme", Description: "The protocol. Certificates are not verified, because endpoints are addressed by IP.", Default: "http", Enum: []string{"http", "https"}},
			{Name: "path", Description: "The path to request, with its query.", Default: "/", Check: httpPath},
			{Name: "status", Description: "The statuses to accept, like 200,204 or 2xx.", Default: "2xx", Check: httpStatuses},
			{Name: "body-contains", Description: "Text that the response body must contain.", Base64: true},
			{Name: "rounds", Description: "The number of consecutive rounds that have to succeed, one second apart.", Default: "1", Check: contract.NonNegative},
			contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" if all endpoints responded as expected in the last round, otherwise "false".`},
			{Name: "endpoints", Description: "The number of ready endpoints in the last round."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
		},
		Run: runVerifyHTTP,
	}
}

func httpPath(value string) error {
	if !strings.HasPrefix(value, "/") || strings.ContainsAny(value, " \t\r\n#") {
		return errors.New("must start with / and contain no spaces")
	}
	return nil
}

func httpStatuses(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		n, err := strconv.Atoi(strings.Replace(word, "xx", "00", 1))
		if err != nil || len(word) != 3 || n < 100 || n > 599 {
			return errors.New("must be statuses like 200,204 or 2xx")
		}
	}
	return nil
}

// httpCheck sends requests to the endpoints of one port of a Service.
type httpCheck struct {
	*contract.Step
	client                *http.Client
	service               *corev1.Service
	port                  corev1.ServicePort
	healthy               bool
	endpoints             int
	consecutive, required int
}

func runVerifyHTTP(ctx context.Context, s *contract.Step) error {
	c, err := newHTTPCheck(ctx, s)
	if err != nil {
		return err
	}
	defer c.client.CloseIdleConnections()
	if s.DryRun {
		// Earlier steps have changed nothing, so the present state is reported and no failure.
		v, err := c.round(ctx)
		s.Log.Info("sent one round of requests", "service", c.service.Name, "healthy", c.healthy, "missing", v.missing)
		return errors.Join(err, c.report())
	}
	p := &progress{s: s, kind: "service", name: c.service.Name}
	err = wait.PollUntilContextTimeout(ctx, httpInterval, max(s.Wait, minimumWatch), true, func(ctx context.Context) (bool, error) {
		v, err := c.round(ctx)
		if ctx.Err() != nil {
			// The bound interrupted this round, so its result is incomplete.
			return false, ctx.Err()
		}
		p.note(v, err)
		return v.done, err
	})
	if err != nil && ctx.Err() == nil && wait.Interrupted(err) {
		err = errBoundReached
	}
	return errors.Join(p.end(ctx, err), c.report())
}

func newHTTPCheck(ctx context.Context, s *contract.Step) (*httpCheck, error) {
	name := s.String("service")
	c := &httpCheck{Step: s, required: max(1, int(s.Int("rounds")))}
	err := s.Retry(ctx, "reading service "+name, func(ctx context.Context) (err error) {
		c.service, err = s.Kube.CoreV1().Services(s.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading service %s: %w", name, err)
	}
	port := s.String("port")
	i := slices.IndexFunc(c.service.Spec.Ports, func(p corev1.ServicePort) bool {
		return port == "" || p.Name == port || strconv.Itoa(int(p.Port)) == port
	})
	switch {
	case c.service.Spec.Type == corev1.ServiceTypeExternalName:
		return nil, contract.Impossible("service %s has type ExternalName and therefore no endpoints to verify", name)
	case len(c.service.Spec.Ports) == 0:
		return nil, contract.Impossible("service %s has no ports; add the port to verify to the Service", name)
	case i < 0:
		return nil, contract.Impossible("service %s has no port %q; it has %s", name, port, describePorts(c.service.Spec.Ports))
	}
	c.port = c.service.Spec.Ports[i]
	c.client = &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Endpoints are addressed by IP, which certificates do not contain.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
	}
	return c, nil
}

func describePorts(ports []corev1.ServicePort) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(int(p.Port))
		if p.Name != "" {
			words[i] = p.Name + " (" + words[i] + ")"
		}
	}
	return strings.Join(words, ", ")
}

// round sends one request to every ready endpoint.
func (c *httpCheck) round(ctx context.Context) (verdict, error) {
	addresses, err := c.readyAddresses(ctx)
	if err != nil {
		return verdict{}, err
	}
	c.endpoints, c.healthy = len(addresses), len(addresses) > 0
	missing := "it has no ready endpoint"
	for _, address := range addresses {
		if err := c.verifyEndpoint(ctx, address); err != nil {
			c.healthy = false
			missing = address + " " + err.Error()
		}
	}
	if !c.healthy {
		c.consecutive = 0
		return verdict{missing: missing, numbers: []any{"endpoints", c.endpoints}}, nil
	}
	c.consecutive++
	return verdict{done: c.consecutive >= c.required, missing: fmt.Sprintf("%d of %d rounds succeeded", c.consecutive, c.required)}, nil
}

func (c *httpCheck) readyAddresses(ctx context.Context) ([]string, error) {
	var slicesOf *discoveryv1.EndpointSliceList
	err := c.Retry(ctx, "listing endpoints", func(ctx context.Context) (err error) {
		slicesOf, err = c.Kube.DiscoveryV1().EndpointSlices(c.Namespace).List(ctx, metav1.ListOptions{
			LabelSelector: discoveryv1.LabelServiceName + "=" + c.service.Name,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the endpoints of service %s: %w", c.service.Name, err)
	}
	var addresses []string
	for _, slice := range slicesOf.Items {
		for _, port := range slice.Ports {
			if port.Port == nil || port.Name != nil && *port.Name != c.port.Name {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && !*e.Conditions.Ready || len(e.Addresses) == 0 {
					continue
				}
				addresses = append(addresses, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*port.Port))))
			}
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}

// verifyEndpoint sends one request; the error describes what is wrong with the response.
func (c *httpCheck) verifyEndpoint(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.String("scheme")+"://"+address+c.String("path"), nil)
	if err != nil {
		return err
	}
	request.Host = c.service.Name + "." + c.Namespace + ".svc"
	request.Header.Set("User-Agent", "workflowexecution-action")
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("does not respond: %w", errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	if !acceptsStatus(c.String("status"), response.StatusCode) {
		return fmt.Errorf("responded with status %d instead of %s", response.StatusCode, c.String("status"))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("interrupted its response: %w", err)
	}
	if !strings.Contains(string(body), c.String("body-contains")) {
		return errors.New("responded without the text of body-contains")
	}
	return nil
}

func acceptsStatus(accepted string, status int) bool {
	for word := range strings.SplitSeq(accepted, ",") {
		word = strings.TrimSpace(word)
		code := strconv.Itoa(status)
		if word == code || strings.HasSuffix(word, "xx") && word[0] == code[0] {
			return true
		}
	}
	return false
}

func (c *httpCheck) report() error {
	return errors.Join(c.Output("healthy", strconv.FormatBool(c.healthy)), c.Output("endpoints", strconv.Itoa(c.endpoints)))
}
