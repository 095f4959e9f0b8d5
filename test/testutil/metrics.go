package testutil

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/utils/ptr"
)

const (
	metricsPort = 8443
	scraper     = "workflowexecution-test-scraper"
)

// Samples maps series, by name and labels in the text format name{label="value"}, to their values. A histogram has name_count and name_sum.
type Samples map[string]float64

// Scrape reads /metrics of the controller as a scraper does: over TLS, with the token of a service account that has the right.
func (c *Cluster) Scrape(ctx context.Context) (Samples, error) {
	token, err := c.scraperToken(ctx)
	if err != nil {
		return nil, err
	}
	var samples Samples
	err = c.WithMetrics(ctx, func(address string) error {
		samples, err = scrape(ctx, "https://"+address+"/metrics", token)
		return err
	})
	return samples, err
}

// WithMetrics calls use with a local address that is forwarded to the metrics port of the controller.
func (c *Cluster) WithMetrics(ctx context.Context, use func(address string) error) error {
	pod, err := c.ControllerPod(ctx)
	if err != nil {
		return err
	}
	return c.WithPort(pod, metricsPort, use)
}

// Token requests a token of a service account, which is valid for ten minutes.
func (c *Cluster) Token(ctx context.Context, namespace, name string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](600)}}
	answer, err := c.Clientset.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request a token: %w", err)
	}
	return answer.Status.Token, nil
}

// scraperToken creates a service account with the right to read /metrics, and requests a token of it.
func (c *Cluster) scraperToken(ctx context.Context) (string, error) {
	part := map[string]any{"app.kubernetes.io/part-of": "workflowexecution"} // so that the uninstallation removes it
	account := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount",
		"metadata": map[string]any{"name": scraper, "namespace": SystemNamespace, "labels": part},
	}}
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "ClusterRoleBinding",
		"metadata": map[string]any{"name": scraper, "labels": part},
		"roleRef":  map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "workflowexecution-metrics-reader"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": scraper, "namespace": SystemNamespace}},
	}}
	if err := c.Apply(ctx, account, binding); err != nil {
		return "", err
	}
	return c.Token(ctx, SystemNamespace, scraper)
}

// WithPort calls use with a local address that is forwarded to a port of the pod.
func (c *Cluster) WithPort(pod *corev1.Pod, port int, use func(address string) error) error {
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return fmt.Errorf("prepare the port forwarding: %w", err)
	}
	target := c.Clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return fmt.Errorf("prepare the port forwarding: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case err := <-ended:
		return fmt.Errorf("forward a port to pod %s: %w", pod.Name, err)
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err == nil {
		err = use(fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
	}
	close(stop)
	return errors.Join(err, <-ended)
}

func scrape(ctx context.Context, url, token string) (Samples, error) {
	status, body, err := Get(ctx, url, token)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("scrape: status %d: %.1024s", status, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return Flatten(families), nil
}

// Get requests url with the token, unless that is empty, and returns the status code and the body of the response. It closes the
// connection itself, because a connection that the pod closes can end the whole port forwarding.
func Get(ctx context.Context, url, token string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// The certificate of the controller is self-signed, unless another one is mounted.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// Flatten returns the samples of metric families.
func Flatten(families map[string]*dto.MetricFamily) Samples {
	samples := Samples{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			labels := labelsOf(metric)
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				samples[name+labels] = metric.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				samples[name+labels] = metric.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				samples[name+"_count"+labels] = float64(metric.GetHistogram().GetSampleCount())
				samples[name+"_sum"+labels] = metric.GetHistogram().GetSampleSum()
			default:
			}
		}
	}
	return samples
}

func labelsOf(metric *dto.Metric) string {
	if len(metric.GetLabel()) == 0 {
		return ""
	}
	pairs := make([]string, 0, len(metric.GetLabel()))
	for _, label := range metric.GetLabel() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// Moved returns the series of this project whose values changed, with the difference.
func Moved(before, after Samples) Samples {
	moved := Samples{}
	for series, value := range after {
		if strings.HasPrefix(series, "workflowexecution_") && value != before[series] {
			moved[series] = value - before[series]
		}
	}
	return moved
}

// Names returns the sorted names of the series.
func (s Samples) Names() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
