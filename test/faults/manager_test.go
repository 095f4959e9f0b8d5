package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// manager is a process of the shipped binary.
type manager struct {
	process *exec.Cmd
	metrics string
	ended   chan struct{}
}

// manage starts a manager.
func (c *cluster) manage(flags ...string) *manager {
	GinkgoHelper()
	folder, err := os.MkdirTemp("", "manager-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, folder)
	kubeconfig := filepath.Join(folder, "kubeconfig")
	Expect(os.WriteFile(kubeconfig, c.Kubeconfig, 0o600)).To(Succeed())
	m := &manager{metrics: freeAddress(), ended: make(chan struct{})}
	m.process = exec.Command(binary, append([]string{
		"--metrics-bind-address=" + m.metrics, "--metrics-insecure", "--health-probe-bind-address=0",
	}, flags...)...)
	m.process.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	m.process.Stdout, m.process.Stderr = GinkgoWriter, GinkgoWriter
	Expect(m.process.Start()).To(Succeed())
	go func() {
		defer close(m.ended)
		_ = m.process.Wait() // isRunning reports the end
	}()
	c.managers = append(c.managers, m)
	return m
}

// withLeaderElection are the flags of a manager that runs beside others.
func withLeaderElection() []string {
	return []string{"--leader-elect-namespace=workflowexecution-system"}
}

func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (m *manager) signal(s syscall.Signal) {
	GinkgoHelper()
	Expect(m.process.Process.Signal(s)).To(Succeed())
}

// isRunning reports whether the process has not ended.
func (m *manager) isRunning() bool {
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// end kills the process.
func (m *manager) end() {
	_ = m.process.Process.Kill() // the process may have ended already
	<-m.ended
}

// scrape reads the metrics of a manager. The result is nil if it serves none.
func (m *manager) scrape() testutil.Samples {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://%s/metrics", m.metrics))
	if err != nil {
		return nil
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return nil
	}
	return testutil.Flatten(families)
}

// isLeader reports whether a manager serves the gauges, which only the leader does.
func (m *manager) isLeader() bool {
	_, isLeader := m.scrape()["workflowexecution_active_total"]
	return isLeader
}
