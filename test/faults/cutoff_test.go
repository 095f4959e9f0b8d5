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

var _ = Describe("A manager that is cut off", func() {
	const executions, steps = 30, 6
	var (
		w *world
		m *manager
	)
	BeforeEach(func() {
		w = newWorld(true)
		m = w.manage(alone)
		w.apply(executions, steps)
		Eventually(w.argo.StartedAttempts).Should(BeNumerically(">", executions))
	})
	expectConvergence := func() {
		GinkgoHelper()
		w.expectAllDone(executions, steps)
		Expect(m.isRunning()).To(BeTrue(), "it was restarted")
		// The answer to a write may have been lost with the connection, and its count with it; none counts twice.
		counted := m.scrape()[`workflowexecution_total{status="completed"}`]
		Expect(counted).To(BeNumerically("<=", executions))
		AddReportEntry("counted", counted)
	}

	It("from the API server, for a minute", func() {
		Expect(w.StopAPIServer()).To(Succeed())
		away := time.Now()
		Eventually(func() time.Duration { return time.Since(away) }).WithTimeout(wait).Should(BeNumerically(">", time.Minute))
		Expect(m.isRunning()).To(BeTrue())
		Expect(w.StartAPIServer()).To(Succeed())
		expectConvergence()
	})

	It("from etcd, which is started again", func() {
		Expect(w.StopEtcd()).To(Succeed())
		Eventually(func() error { return w.Admin.List(ctx, &wfev1.WorkflowExecutionList{}) }).ShouldNot(Succeed())
		Expect(w.StartEtcd()).To(Succeed())
		expectConvergence()
	})

	It("from what happened, since its watches are too old", func() {
		m.signal(syscall.SIGSTOP)
		list := &wfev1.WorkflowExecutionList{}
		Expect(w.Admin.List(ctx, list)).To(Succeed())
		Expect(w.Admin.Create(ctx, execution("unseen", 1))).To(Succeed())
		Expect(w.Admin.Delete(ctx, execution("unseen", 1), client.GracePeriodSeconds(0))).To(Succeed())
		w.compact()
		Expect(w.StopAPIServer()).To(Succeed()) // what it has in memory would still serve the old watches
		Expect(w.StartAPIServer()).To(Succeed())
		Eventually(func() error { return w.Admin.List(ctx, &wfev1.WorkflowExecutionList{}) }).Should(Succeed())
		answer := w.watchAnswer(list.ResourceVersion)
		Expect(answer.Type).To(Equal(watch.Error), "what the manager has seen last is too old")
		Expect(apierrors.FromObject(answer.Object)).To(MatchError(apierrors.IsResourceExpired, "IsResourceExpired"))
		m.signal(syscall.SIGCONT)
		expectConvergence()
	})
})

// watchAnswer is the first thing that a watch from a resource version on is told.
func (w *world) watchAnswer(version string) watch.Event {
	GinkgoHelper()
	watching, err := w.Admin.Watch(ctx, &wfev1.WorkflowExecutionList{}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	Expect(err).NotTo(HaveOccurred())
	defer watching.Stop()
	var first watch.Event
	Eventually(watching.ResultChan()).Should(Receive(&first))
	return first
}

// etcd asks etcd's JSON gateway.
func (w *world) etcd(path string, question any, answer any) {
	GinkgoHelper()
	body, err := json.Marshal(question)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.Post(w.EtcdURL()+path, "application/json", bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	Expect(response.StatusCode).To(Equal(http.StatusOK))
	Expect(json.NewDecoder(response.Body).Decode(answer)).To(Succeed())
}

// revision is the number of etcd's last change.
func (w *world) revision() int64 {
	GinkgoHelper()
	answer := struct {
		Header struct {
			Revision int64 `json:"revision,string"`
		} `json:"header"`
	}{}
	w.etcd("/v3/kv/range", map[string]any{"key": "AA=="}, &answer)
	return answer.Header.Revision
}

// compact lets etcd forget everything but the present.
func (w *world) compact() {
	GinkgoHelper()
	w.etcd("/v3/kv/compaction", map[string]any{"revision": w.revision(), "physical": true}, &struct{}{})
}
