package faults

import (
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// alone is the flag of a single manager, which needs no lease.
const alone = "--leader-elect=false"

var _ = Describe("The leader of two managers", func() {
	const executions, steps = 100, 4

	// midway starts both managers and the executions, and waits until about a third has completed.
	midway := func() (c *cluster, leader, standby *manager) {
		GinkgoHelper()
		c = newCluster(true)
		leader = c.manage(withLeaderElection()...)
		Eventually(leader.isLeader).Should(BeTrue())
		standby = c.manage(withLeaderElection()...)
		c.apply(executions, steps)
		Eventually(func() int { return c.phases()[wfev1.PhaseCompleted] }).Should(BeNumerically(">", executions/3))
		Expect(standby.isLeader()).To(BeFalse())
		return c, leader, standby
	}

	// expectTakeover waits until the standby leads and its gauges are correct.
	expectTakeover := func(c *cluster, standby *manager, since time.Time) {
		GinkgoHelper()
		Eventually(standby.isLeader).WithTimeout(takeover).Should(BeTrue())
		AddReportEntry("takeover", time.Since(since).Round(time.Second).String())
		live := func() float64 {
			phases := c.phases()
			return float64(phases[wfev1.PhaseRunning])
		}
		Eventually(func() float64 { return standby.scrape()["workflowexecution_active_total"] - live() }).Should(BeNumerically("~", 0, 5))
	}

	It("is replaced when it is killed", func() {
		c, leader, standby := midway()
		leader.signal(syscall.SIGKILL)
		expectTakeover(c, standby, time.Now())
		c.expectAllCompleted(executions, steps)
		Expect(standby.scrape()["workflowexecution_active_total"]).To(BeZero())
		Expect(standby.scrape()[`workflowexecution_total{status="completed"}`]).To(BeNumerically("<", executions))
	})

	It("is replaced when it is paused until its lease expires, and exits when it continues", func() {
		c, leader, standby := midway()
		leader.signal(syscall.SIGSTOP)
		Expect(leader.scrape()).To(BeNil(), "a paused process serves no metrics")
		expectTakeover(c, standby, time.Now())
		leader.signal(syscall.SIGCONT)
		Eventually(leader.isRunning).WithTimeout(takeover).Should(BeFalse(), "a leader that lost its lease must exit")
		c.expectAllCompleted(executions, steps)
	})

	It("is replaced when it is terminated", func() {
		c, leader, standby := midway()
		leader.signal(syscall.SIGTERM)
		expectTakeover(c, standby, time.Now())
		Eventually(leader.isRunning).WithTimeout(takeover).Should(BeFalse())
		c.expectAllCompleted(executions, steps)
		Expect(c.UsedRights()).To(ContainElements("get coordination.k8s.io/leases", "create coordination.k8s.io/leases", "update coordination.k8s.io/leases"))
	})
})

var _ = Describe("A manager that is killed repeatedly", func() {
	It("repeats no Workflow and no step", func() {
		const executions, steps = 40, 4
		c := newCluster(true)
		m := c.manage(alone)
		c.apply(executions, steps)
		for done := 4; done < executions-4; done += 4 {
			Eventually(func() int { return c.phases()[wfev1.PhaseCompleted] }).Should(BeNumerically(">=", done))
			m.end()
			m = c.manage(alone)
		}
		c.expectAllCompleted(executions, steps)
	})
})
