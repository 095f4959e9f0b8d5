package faults

import (
	"bytes"
	"encoding/json"
	"net/http"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("A manager that loses its connection", func() {
	const executions, steps = 30, 6
	var (
		c *cluster
		m *manager
	)
	BeforeEach(func() {
		c = newCluster(true)
		m = c.manage(alone)
		c.apply(executions, steps)
		Eventually(c.argo.StartedAttempts).Should(BeNumerically(">", executions))
	})
	expectConvergence := func() {
		GinkgoHelper()
		c.expectAllCompleted(executions, steps)
		Expect(m.isRunning()).To(BeTrue(), "the manager must not restart")
		// The response to a write can be lost with the connection, and then the execution is not counted. None counts twice.
		counted := m.scrape()[`workflowexecution_total{status="completed"}`]
		Expect(counted).To(BeNumerically("<=", executions))
		AddReportEntry("counted", counted)
	}

	It("recovers when the API server was unavailable for a minute", func() {
		Expect(c.StopAPIServer()).To(Succeed())
		stopped := time.Now()
		Eventually(func() time.Duration { return time.Since(stopped) }).WithTimeout(wait).Should(BeNumerically(">", time.Minute))
		Expect(m.isRunning()).To(BeTrue())
		Expect(c.StartAPIServer()).To(Succeed())
		expectConvergence()
	})

	It("recovers when etcd was restarted", func() {
		Expect(c.StopEtcd()).To(Succeed())
		Eventually(func() error { return c.Admin.List(ctx, &wfev1.WorkflowExecutionList{}) }).ShouldNot(Succeed())
		Expect(c.StartEtcd()).To(Succeed())
		expectConvergence()
	})

	It("lists again when its watches are expired", func() {
		m.signal(syscall.SIGSTOP)
		list := &wfev1.WorkflowExecutionList{}
		Expect(c.Admin.List(ctx, list)).To(Succeed())
		Expect(c.Admin.Create(ctx, execution("missed", 1))).To(Succeed())
		Expect(c.Admin.Delete(ctx, execution("missed", 1), client.GracePeriodSeconds(0))).To(Succeed())
		c.compact()
		Expect(c.StopAPIServer()).To(Succeed()) // the API server would serve the old watches from its memory
		Expect(c.StartAPIServer()).To(Succeed())
		Eventually(func() error { return c.Admin.List(ctx, &wfev1.WorkflowExecutionList{}) }).Should(Succeed())
		event := c.firstWatchEvent(list.ResourceVersion)
		Expect(event.Type).To(Equal(watch.Error), "the last resource version of the manager is expired")
		Expect(apierrors.FromObject(event.Object)).To(MatchError(apierrors.IsResourceExpired, "IsResourceExpired"))
		m.signal(syscall.SIGCONT)
		expectConvergence()
	})
})

// firstWatchEvent is the first event of a watch from a resource version.
func (c *cluster) firstWatchEvent(version string) watch.Event {
	GinkgoHelper()
	watching, err := c.Admin.Watch(ctx, &wfev1.WorkflowExecutionList{}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	Expect(err).NotTo(HaveOccurred())
	defer watching.Stop()
	var first watch.Event
	Eventually(watching.ResultChan()).Should(Receive(&first))
	return first
}

// etcd calls etcd's JSON gateway.
func (c *cluster) etcd(path string, request any, answer any) {
	GinkgoHelper()
	body, err := json.Marshal(request)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.Post(c.EtcdURL()+path, "application/json", bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	Expect(response.StatusCode).To(Equal(http.StatusOK))
	Expect(json.NewDecoder(response.Body).Decode(answer)).To(Succeed())
}

// revision is etcd's current revision.
func (c *cluster) revision() int64 {
	GinkgoHelper()
	answer := struct {
		Header struct {
			Revision int64 `json:"revision,string"`
		} `json:"header"`
	}{}
	c.etcd("/v3/kv/range", map[string]any{"key": "AA=="}, &answer)
	return answer.Header.Revision
}

// compact removes all old revisions from etcd.
func (c *cluster) compact() {
	GinkgoHelper()
	c.etcd("/v3/kv/compaction", map[string]any{"revision": c.revision(), "physical": true}, &struct{}{})
}
