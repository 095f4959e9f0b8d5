package controllers_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/argodouble"
)

// rest lets the controller and Argo have their turns until they have nothing to do before time passes.
func (s *stage) rest() {
	GinkgoHelper()
	for acted := true; acted; {
		Expect(s.look()).To(Succeed())
		for name := range names(s.truth, s.cache) {
			s.cache.deliver(s.truth, name)
		}
		var err error
		if acted, err = s.controllerLooks(); !acted && err == nil {
			acted, err = s.argoLooks()
		}
		Expect(err).NotTo(HaveOccurred())
	}
}

var _ = Describe("The progress of many executions at once", func() {
	const many = 5
	// begin applies executions of three steps, whose last step ends in a way, and lets everything happen for which no time
	// has to pass.
	begin := func(progressPerSecond int, last argodouble.Outcome) *stage {
		s := newStage(newStageNamespace(), nil)
		s.progressPerSecond = progressPerSecond
		s.lead()
		s.script = func(_ *wfv1.Workflow, task string) argodouble.Outcome {
			if task == "c" {
				return last
			}
			return argodouble.Outcome{Phase: wfv1.NodeSucceeded}
		}
		Expect(s.look()).To(Succeed())
		for i := range many {
			Expect(s.apply(execution(fmt.Sprintf("x%d", i), step("a"), step("b", "a"), step("c", "b")))).To(Succeed())
		}
		s.rest()
		return s
	}
	patches := func(s *stage) int { return s.wire.count(func(c call) bool { return c.String() == patchStatus }) }
	ends := func(s *stage, want string) {
		GinkgoHelper()
		for name := range s.truth.executions {
			Expect(endOf(s.truth.executions[name], false)).To(Equal(want), name)
		}
	}

	It("is told at a bounded rate, and their ends at once", func() {
		succession(func() {
			bounded, unbounded := begin(1, argodouble.Outcome{Phase: wfv1.NodeSucceeded}), begin(0, argodouble.Outcome{Phase: wfv1.NodeSucceeded})
			ends(bounded, "Completed")
			ends(unbounded, "Completed")
			const start, first, end, atOnce = many, many, many, 2
			Expect(patches(bounded)).To(Equal(start + first + atOnce + end))
			Expect(patches(unbounded)).To(BeNumerically(">", patches(bounded)+many))
			Expect(bounded.tidy()).To(Succeed())
			Expect(unbounded.tidy()).To(Succeed())
		})
	})

	It("does not hold back that a step failed", func() {
		succession(func() {
			s := begin(1, breaks)
			ends(s, "Failed ActionFailed")
			Expect(s.tidy()).To(Succeed())
		})
	})

	It("is told in turn, though nothing else happens", func() {
		succession(func() {
			s := begin(1, hangs)
			told := func() (n int) {
				for _, wfe := range s.truth.executions {
					if wfe.Status.Progress == "2/3" && wfe.Status.Steps[2].Phase == wfev1.StepRunning {
						n++
					}
				}
				return n
			}
			before := told()
			Expect(before).To(BeNumerically("<", many))
			for range many - before {
				passed, err := s.timePasses()
				Expect(passed, err).To(BeTrue())
				s.rest()
			}
			Expect(told()).To(Equal(many))
			Expect(s.tidy()).To(Succeed())
		})
	})
})
