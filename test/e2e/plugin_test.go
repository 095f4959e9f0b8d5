package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// result is the output and the exit code of a program.
type result struct {
	out, err string
	code     int
}

// program runs a program.
func program(ctx context.Context, in, name string, args ...string) result {
	GinkgoHelper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		Expect(err).NotTo(HaveOccurred(), "%s: run make build for the plugin", name)
	}
	GinkgoWriter.Printf("$ %s %s\n%s%s", filepath.Base(name), strings.Join(args, " "), &out, &errOut)
	return result{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
}

// plugin runs the plugin that make build created.
func plugin(ctx context.Context, args ...string) result {
	GinkgoHelper()
	return program(ctx, "", pluginPath(), args...)
}

func pluginPath() string { return filepath.Join(root, "bin", "kubectl-wfe") }

// kubectlPath is the kubectl of the variable KUBECTL, or the installed one.
func kubectlPath() string { return cmp.Or(os.Getenv("KUBECTL"), "kubectl") }

// follow starts the plugin's watch of an execution. Its exit code is the outcome.
func follow(namespace, name string) *gexec.Session {
	GinkgoHelper()
	session, err := gexec.Start(exec.Command(pluginPath(), "watch", name, "-n", namespace, "--timeout", runTimeout.String()), GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait() })
	return session
}

var _ = Describe("kubectl wfe", func() {
	It("lints and translates files, and watches, approves and shows an execution", func(ctx SpecContext) {
		sample := filepath.Join(root, "config", "samples", "remediate.yaml")
		Expect(plugin(ctx, "lint", "-f", sample).out).To(ContainSubstring("payment-api-oom: no problems, 4 steps"))
		wrong := program(ctx, "kind: WorkflowExecution\napiVersion: workflowexecution.kubernaut.io/v1alpha1\nmetadata: {name: x}\nspec: {steps: []}\n", pluginPath(), "lint", "-f", "-")
		Expect(wrong.code).To(Equal(1))
		Expect(plugin(ctx, "translate", "-f", sample).out).To(And(ContainSubstring("kind: Workflow\n"), ContainSubstring("name: payment-api-oom")))
		Expect(plugin(ctx, "actions").out).To(And(ContainSubstring("scale-deployment"), ContainSubstring("test-flaky")))

		namespace := newNamespace(ctx)
		grumbles := step("grumbles", "test-fail")
		grumbles.Critical = ptr.To(false)
		ask := wfev1.Step{Name: "ask", Approval: &wfev1.ApprovalRequest{Message: "Go on?"}, DependsOn: []string{"grumbles"}}
		execution := newExecution(namespace, "asks", grumbles, ask, after(step("last", "test-ok"), "ask"))
		Expect(cluster.Create(ctx, execution)).To(Succeed())
		watch := follow(namespace, "asks")
		waitPhaseFor(ctx, execution, wfev1.PhaseAwaitingApproval, runTimeout)
		Expect(plugin(ctx, "approve", "asks", "-n", namespace, "--reason", "why not").out).To(ContainSubstring(`step "ask" of "asks" is approved by `))
		Eventually(watch).WithContext(ctx).WithTimeout(runTimeout).Should(gexec.Exit(0), "the outcome of a completed execution")
		Expect(string(watch.Out.Contents())).To(MatchRegexp(`(?s)asks  AwaitingApproval  1/3.*last  Completed.*asks  Completed  3/3`))

		Expect(plugin(ctx, "tree", "asks", "-n", namespace).out).To(MatchRegexp(`(?s)^asks  Completed  3/3 .*✖ grumbles .*└─ ✔ ask .*└─ ✔ last `))
		Expect(plugin(ctx, "logs", "asks", "grumbles", "-n", namespace).out).To(ContainSubstring("failing as asked"))
		Expect(plugin(ctx, "get", "-n", namespace).out).To(MatchRegexp(`asks +Completed +3/3 `))
		Expect(plugin(ctx, "describe", "asks", "-n", namespace).out).To(And(ContainSubstring("approved by"), ContainSubstring("Events:")))
		Expect(plugin(ctx, "graph", "asks", "-n", namespace, "-o", "svg").out).To(And(HavePrefix("<svg "), ContainSubstring("grumbles: Failed")))
		expectKubectlOutput(ctx, execution)
	})

	It("cancels, suspends, resumes, retries and compares executions", Label(whole), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		By("cancel")
		slow := newExecution(namespace, "slow", step("sleep", "test-sleep", "seconds", "120"))
		Expect(cluster.Create(ctx, slow)).To(Succeed())
		watch := follow(namespace, "slow")
		waitPhaseFor(ctx, slow, wfev1.PhaseRunning, runTimeout)
		Expect(plugin(ctx, "cancel", "slow", "-n", namespace).out).To(ContainSubstring(`"slow" is cancelled`))
		Eventually(watch).WithContext(ctx).WithTimeout(runTimeout).Should(gexec.Exit(3), "the outcome of a cancelled execution")

		By("suspend and resume")
		paused := newExecution(namespace, "paused", step("first", "test-sleep", "seconds", "4"), after(step("second", "test-ok"), "first"))
		Expect(cluster.Create(ctx, paused)).To(Succeed())
		waitPhaseFor(ctx, paused, wfev1.PhaseRunning, runTimeout)
		Expect(plugin(ctx, "suspend", "paused", "-n", namespace).code).To(Equal(0))
		waitPhaseFor(ctx, paused, wfev1.PhaseSuspended, runTimeout)
		Expect(plugin(ctx, "resume", "paused", "-n", namespace).code).To(Equal(0))
		Expect(waitEnd(ctx, paused).Status.Phase).To(Equal(wfev1.PhaseCompleted))

		By("retry")
		failing := newExecution(namespace, "failing", step("first", "test-ok"), after(step("second", "test-fail"), "first"))
		Expect(cluster.Create(ctx, failing)).To(Succeed())
		Eventually(follow(namespace, "failing")).WithContext(ctx).WithTimeout(runTimeout).Should(gexec.Exit(2), "the outcome of a failed execution")
		Expect(plugin(ctx, "retry", "failing", "-n", namespace).out).To(ContainSubstring("workflowexecution/failing-retry-1 created with 1 of 2 steps"))
		again := waitEnd(ctx, &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "failing-retry-1"}})
		Expect(again.Status.Steps).To(HaveExactElements(HaveField("Name", "second")))

		By("diff")
		manifest, err := os.ReadFile(filepath.Join(root, "config", "samples", "remediate.yaml"))
		Expect(err).NotTo(HaveOccurred())
		here := strings.ReplaceAll(string(manifest), "namespace: production", "namespace: "+namespace)
		changing := program(ctx, here, pluginPath(), "diff", "-n", namespace, "-f", "-")
		Expect(changing.code).To(Equal(1), "the diff must not be empty: %s", changing.err)
		Expect(changing.out).To(ContainSubstring("scale-up"))
		Expect(target(ctx, namespace).Spec.Replicas).To(HaveValue(BeEquivalentTo(2)), "a diff must change nothing")
	})
})

// expectKubectlOutput checks the output of kubectl for a completed execution.
func expectKubectlOutput(ctx SpecContext, execution *wfev1.WorkflowExecution) {
	GinkgoHelper()
	kubectl := func(args ...string) string {
		GinkgoHelper()
		output := program(ctx, "", kubectlPath(), args...)
		Expect(output.code).To(Equal(0), output.err)
		return output.out
	}
	namespace, name := execution.Namespace, execution.Name
	Expect(kubectl("wait", "--for=condition=Complete", "wfe/"+name, "-n", namespace, "--timeout=30s")).To(ContainSubstring("condition met"))
	By("an edit after the end, which must not block kubectl wait")
	Expect(plugin(ctx, "suspend", name, "-n", namespace).code).To(Equal(1), "the plugin refuses to suspend an ended execution")
	kubectl("patch", "wfe", name, "-n", namespace, "--type=merge", "-p", `{"spec":{"suspended":true}}`)
	Expect(kubectl("wait", "--for=condition=Complete", "wfe/"+name, "-n", namespace, "--timeout=30s")).To(ContainSubstring("condition met"))
	Expect(kubectl("get", "wfe", name, "-n", namespace)).To(MatchRegexp(`^NAME +PHASE +PROGRESS +REASON +AGE\n` + name + ` +Completed +3/3 +\d`))
	Expect(kubectl("get", "wfe", name, "-n", namespace, "-o", "wide")).To(MatchRegexp(
		`^NAME +PHASE +PROGRESS +TARGET +STARTED +DURATION +REASON +AGE\n` + name + ` +Completed +3/3 +` + name + ` +\S+ +(\d+m)?\d+s +\d`))
	Expect(kubectl("explain", "wfe.spec.steps")).To(And(
		ContainSubstring("steps are the work to do: 1 to 500 steps, ordered by their dependencies."), ContainSubstring("names the steps that must succeed before this one starts")))
	Expect(kubectl("describe", "wfe", name, "-n", namespace)).To(And(ContainSubstring("StepFailed"), ContainSubstring("Completed")))

	events := &corev1.EventList{}
	Expect(cluster.List(ctx, events, client.InNamespace(namespace))).To(Succeed())
	counts := map[string]int{}
	for i := range events.Items {
		if e := &events.Items[i]; e.InvolvedObject.UID == execution.UID {
			counts[e.Reason+": "+e.Message] += int(max(e.Count, 1))
		}
	}
	Expect(counts).To(HaveEach(1), "no event is repeated")
	Expect(counts).NotTo(BeEmpty())
}
