package actions

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// service is a Service with one endpoint for each server, all ready but the last when oneNotReady.
func service(t *testing.T, oneNotReady bool, servers ...*httptest.Server) []runtime.Object {
	t.Helper()
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "payment-api", Namespace: namespace}}
	svc.Spec.Ports = []corev1.ServicePort{{Name: "web", Port: 80}, {Name: "admin", Port: 81}}
	objects := []runtime.Object{svc}
	for i, server := range servers {
		host, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ready := !oneNotReady || i < len(servers)-1
		objects = append(objects, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Name: "slice-" + strconv.Itoa(i), Namespace: namespace, Labels: map[string]string{discoveryv1.LabelServiceName: "payment-api"},
			},
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("web"), Port: ptr.To(int32(n))}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		})
	}
	return objects
}

func TestVerifyHTTP(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/healthy", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("all is well at " + r.Host)) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/broken", http.StatusFound) })
	mux.HandleFunc("/recovers", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	plain, secure, broken := httptest.NewServer(mux), httptest.NewTLSServer(mux), httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	t.Cleanup(broken.Close)
	target := map[string]string{"service": "payment-api", "path": "/healthy", "wait-seconds": "2"}
	one := map[string]string{"healthy": "true", "endpoints": "1"}
	unhealthy := map[string]string{"healthy": "false", "endpoints": "1"}
	cases := map[string]struct {
		reason     string
		objects    []runtime.Object
		parameters map[string]string
		want       result
	}{
		"Healthy": {reason: "requested by IP, with the Service's name as host", objects: service(t, false, plain),
			parameters: with(target, "body-contains", encode("well at payment-api.production.svc")), want: result{Outputs: one}},
		"ByPortNumber": {reason: "ports have names and numbers", objects: service(t, false, plain), parameters: with(target, "port", "80"), want: result{Outputs: one}},
		"HTTPS":        {reason: "certificates contain no IPs", objects: service(t, false, secure), parameters: with(target, "scheme", "https"), want: result{Outputs: one}},
		"Redirect":     {reason: "a redirect is a response", objects: service(t, false, plain), parameters: with(target, "path", "/moved", "status", "200, 302"), want: result{Outputs: one}},
		"Recovers": {reason: "it waits for two consecutive rounds", objects: service(t, false, plain),
			parameters: with(target, "path", "/recovers", "rounds", "2", "wait-seconds", "10"), want: result{Outputs: one}},
		"Broken": {reason: "the message contains the response", objects: service(t, false, plain), parameters: with(target, "path", "/broken"),
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "responded with status 503 instead of 2xx after 2s", Outputs: unhealthy}},
		"WrongBody": {reason: "the message does not repeat the text", objects: service(t, false, plain), parameters: with(target, "body-contains", encode("nonsense")),
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "without the text", Outputs: unhealthy}},
		"OneOfTwo": {reason: "every ready endpoint has to respond", objects: service(t, false, plain, broken), parameters: target,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "responded with status 404", Outputs: with(unhealthy, "endpoints", "2")}},
		"NotReady": {reason: "endpoints that are not ready are ignored", objects: service(t, true, plain, broken), parameters: target, want: result{Outputs: one}},
		"NoEndpoint": {reason: "a Service without endpoints is not healthy", objects: service(t, false), parameters: target,
			want: result{Exit: 1, Reason: "DeadlineExceeded", Message: "has no ready endpoint", Outputs: with(unhealthy, "endpoints", "0")}},
		"NoSuchPort": {reason: "the message names the port", objects: service(t, false, plain), parameters: with(target, "port", "grpc"),
			want: result{Exit: 64, Reason: "ActionFailed", Message: `service payment-api has no port "grpc"`}},
		"NotFound": {reason: "the message names the Service", objects: service(t, false), parameters: with(target, "service", "other"),
			want: result{Exit: 64, Reason: "ActionFailed", Message: `"other" not found`}},
		"DryRunHealthy": {reason: "a dry run reports the present health", objects: service(t, false, plain), parameters: with(target, "dry-run", "true"), want: result{Outputs: one}},
		"DryRunBroken": {reason: "a dry run reports and does not fail", objects: service(t, false, broken), parameters: with(target, "dry-run", "true"),
			want: result{Outputs: unhealthy}},
		"BadStatus": {reason: "rejected before any request to the API server", objects: service(t, false), parameters: with(target, "status", "ok"),
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter status"}},
		"BadPath": {reason: "a URL is not a path", objects: service(t, false), parameters: with(target, "path", "http://x"),
			want: result{Exit: 64, Reason: "InvalidSpec", Message: "parameter path"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.check(t, c.reason, newFixture(t, c.objects...).attempt(run{action: "verify-http", parameters: c.parameters}))
		})
	}
}
