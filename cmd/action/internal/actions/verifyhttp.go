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
	// httpPace is the time between two rounds of requests: no watch tells when an answer changes.
	httpPace = time.Second
	// maxBody bounds what is read of an answer.
	maxBody = 1 << 20
)

func verifyHTTP() contract.Action {
	return contract.Action{
		Name: "verify-http",
		Summary: "Asks every ready endpoint of a Service by HTTP, without cluster DNS, and waits until all answer as they should, " +
			"as many rounds in a row as asked.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "service", Description: "The Service whose endpoints to ask.", Required: true, Check: contract.ObjectName},
			{Name: "port", Description: "The port of the Service, by its name or number; the first one if empty."},
			{Name: "scheme", Description: "The protocol; certificates are not verified, since endpoints are asked by address.", Default: "http", Enum: []string{"http", "https"}},
			{Name: "path", Description: "The path to ask for, with its query.", Default: "/", Check: httpPath},
			{Name: "status", Description: "The statuses to accept, like 200,204 or 2xx.", Default: "2xx", Check: httpStatuses},
			{Name: "body-contains", Description: "What the body of the answer must contain.", Base64: true},
			{Name: "rounds", Description: "How many rounds in a row have to succeed, a second apart.", Default: "1", Check: contract.NonNegative},
			contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" when all endpoints answered as they should when last asked, "false" if not.`},
			{Name: "endpoints", Description: "The number of ready endpoints when last asked."},
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
		return errors.New("must begin with / and have no spaces")
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

// httpCheck asks the endpoints of one port of a Service.
type httpCheck struct {
	*contract.Step
	client      *http.Client
	service     *corev1.Service
	port        corev1.ServicePort
	healthy     bool
	endpoints   int
	inARow, due int
}

func runVerifyHTTP(ctx context.Context, s *contract.Step) error {
	c, err := newHTTPCheck(ctx, s)
	if err != nil {
		return err
	}
	defer c.client.CloseIdleConnections()
	if s.DryRun {
		s.Log.Info("the service exists; a dry run asks nothing of it", "service", c.service.Name, "port", c.port.Port)
		return c.report()
	}
	p := &progress{s: s, kind: "service", name: c.service.Name}
	err = wait.PollUntilContextTimeout(ctx, httpPace, max(s.Wait, firstLook), true, func(ctx context.Context) (bool, error) {
		v, err := c.round(ctx)
		if ctx.Err() != nil {
			// The bound cut this round off, so it says nothing about the endpoints.
			return false, ctx.Err()
		}
		p.note(v, err)
		return v.done, err
	})
	if err != nil && ctx.Err() == nil && wait.Interrupted(err) {
		err = p.timedOut()
	}
	return errors.Join(err, c.report())
}

func newHTTPCheck(ctx context.Context, s *contract.Step) (*httpCheck, error) {
	name := s.String("service")
	c := &httpCheck{Step: s, due: max(1, int(s.Int("rounds")))}
	err := s.Retry(ctx, "reading service "+name, func(ctx context.Context) (err error) {
		c.service, err = s.Kube.CoreV1().Services(s.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading service %s: %w", name, err)
	}
	asked := s.String("port")
	i := slices.IndexFunc(c.service.Spec.Ports, func(p corev1.ServicePort) bool {
		return asked == "" || p.Name == asked || strconv.Itoa(int(p.Port)) == asked
	})
	if i < 0 {
		return nil, contract.Impossible("service %s has no port %q", name, asked)
	}
	c.port = c.service.Spec.Ports[i]
	c.client = &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// The endpoints are asked by address, which no certificate names.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
	}
	return c, nil
}

// round asks every ready endpoint once.
func (c *httpCheck) round(ctx context.Context) (verdict, error) {
	addresses, err := c.readyAddresses(ctx)
	if err != nil {
		return verdict{}, err
	}
	c.endpoints, c.healthy = len(addresses), len(addresses) > 0
	missing := "it has no ready endpoint"
	for _, address := range addresses {
		if err := c.ask(ctx, address); err != nil {
			c.healthy = false
			missing = address + " " + err.Error()
		}
	}
	if !c.healthy {
		c.inARow = 0
		return verdict{missing: missing, numbers: []any{"endpoints", c.endpoints}}, nil
	}
	c.inARow++
	return verdict{done: c.inARow >= c.due, missing: fmt.Sprintf("%d of %d rounds succeeded", c.inARow, c.due)}, nil
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

// ask asks one endpoint; the error says what is wrong with its answer.
func (c *httpCheck) ask(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.String("scheme")+"://"+address+c.String("path"), nil)
	if err != nil {
		return err
	}
	request.Host = c.service.Name + "." + c.Namespace + ".svc"
	request.Header.Set("User-Agent", "workflowexecution-action")
	answer, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("does not answer: %w", errors.Unwrap(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if !acceptsStatus(c.String("status"), answer.StatusCode) {
		return fmt.Errorf("answered %d, not %s", answer.StatusCode, c.String("status"))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return fmt.Errorf("broke off its answer: %w", err)
	}
	if !strings.Contains(string(body), c.String("body-contains")) {
		return errors.New("answered without the text that body-contains asks for")
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
