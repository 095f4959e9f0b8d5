package faults

import (
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// alone runs one manager that does not ask for a lease.
const alone = "--leader-elect=false"

var _ = Describe("Of two managers the one that leads", func() {
	const executions, steps = 100, 4

	// midway starts both, and executions, and waits until about a third is done.
	midway := func() (w *world, leader, standby *manager) {
		GinkgoHelper()
		w = newWorld(true)
		leader = w.manage(elect()...)
		Eventually(leader.isLeader).Should(BeTrue())
		standby = w.manage(elect()...)
		w.apply(executions, steps)
		Eventually(func() int { return w.phases()[wfev1.PhaseCompleted] }).Should(BeNumerically(">", executions/3))
		Expect(standby.isLeader()).To(BeFalse())
		return w, leader, standby
	}

	// expectTakeover waits until the other one leads, with gauges that tell the present.
	expectTakeover := func(w *world, standby *manager, since time.Time) {
		GinkgoHelper()
		Eventually(standby.isLeader).WithTimeout(takeover).Should(BeTrue())
		AddReportEntry("takeover", time.Since(since).Round(time.Second).String())
		live := func() float64 {
			phases := w.phases()
			return float64(phases[wfev1.PhaseRunning])
		}
		Eventually(func() float64 { return standby.scrape()["workflowexecution_active_total"] - live() }).Should(BeNumerically("~", 0, 5))
	}

	It("is killed, and the other takes over", func() {
		w, leader, standby := midway()
		leader.signal(syscall.SIGKILL)
		expectTakeover(w, standby, time.Now())
		w.expectAllDone(executions, steps)
		Expect(standby.scrape()["workflowexecution_active_total"]).To(BeZero())
		Expect(standby.scrape()[`workflowexecution_total{status="completed"}`]).To(BeNumerically("<", executions))
	})

	It("is frozen until its lease is over, and does no harm when it wakes", func() {
		w, leader, standby := midway()
		leader.signal(syscall.SIGSTOP)
		frozen := leader.scrape // nobody answers
		Expect(frozen()).To(BeNil())
		expectTakeover(w, standby, time.Now())
		leader.signal(syscall.SIGCONT)
		Eventually(leader.isRunning).WithTimeout(takeover).Should(BeFalse(), "a leader that lost its lease must go")
		w.expectAllDone(executions, steps)
	})

	It("is told to end, and the other takes over at once", func() {
		w, leader, standby := midway()
		leader.signal(syscall.SIGTERM)
		expectTakeover(w, standby, time.Now())
		Eventually(leader.isRunning).WithTimeout(takeover).Should(BeFalse())
		w.expectAllDone(executions, steps)
		Expect(w.UsedRights()).To(ContainElements("get coordination.k8s.io/leases", "create coordination.k8s.io/leases", "update coordination.k8s.io/leases"))
	})
})

var _ = Describe("A manager that is killed again and again", func() {
	It("does everything once", func() {
		const executions, steps = 40, 4
		w := newWorld(true)
		m := w.manage(alone)
		w.apply(executions, steps)
		for done := 4; done < executions-4; done += 4 {
			Eventually(func() int { return w.phases()[wfev1.PhaseCompleted] }).Should(BeNumerically(">=", done))
			m.end()
			m = w.manage(alone)
		}
		w.expectAllDone(executions, steps)
	})
})
