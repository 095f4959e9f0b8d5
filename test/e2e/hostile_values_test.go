package e2e

import (
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// hostile has special characters of shells, YAML, JSON, Argo's templates and the kubelet. Any value may contain it.
	hostile = ` "quotes" 'and' ` + "`id`" + ` \ \\ \n \u003c \x7b; rm -rf / && x | y > z < w & $HOME ${HOME} $1 %s
` + "\r\n\t" + `- a: b # c
{"json": ["x"]} } }} { {a} {= <b> größe 大 😀 ` + "\u2028" + `
--flag=x a$`
	// forbidden is allowed in encoded values only.
	forbidden = "{{workflow.uid}} {{=1+1}} {{inputs.parameters.key}} $(HOME) $$ $€ \x01\x7f"
)

var _ = Describe("A hostile value", func() {
	It("reaches the action unchanged", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		grant(ctx, namespace, "writer", false, "update-configmap")
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kept"}}
		Expect(cluster.Create(ctx, config)).To(Succeed())
		largest := strings.Repeat("0123456789abcde\n", 64<<10/16)
		wfe := newExecution(namespace, "hostile",
			step("plain", "test-ok", "say", hostile),
			step("plain-largest", "test-ok", "say", largest),
			step("encoded", "update-configmap", "configmap", "kept", "key", "encoded", "value", hostile+forbidden),
			after(step("encoded-largest", "update-configmap", "configmap", "kept", "key", "encoded-largest", "value", largest), "encoded"))
		wfe.Spec.ServiceAccountName = "writer"

		ended := run(ctx, wfe)

		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
		Expect(receivedBy(ctx, ended, "plain")).To(Equal(hostile))
		Expect(receivedBy(ctx, ended, "plain-largest")).To(Equal(largest))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())
		Expect(config.Data).To(Equal(map[string]string{"encoded": hostile + forbidden, "encoded-largest": largest}))
	})
})

// receivedBy is the value that the program of a test-ok step received, from its log.
func receivedBy(ctx SpecContext, wfe *wfev1.WorkflowExecution, name string) string {
	GinkgoHelper()
	logs, err := cluster.Clientset.CoreV1().Pods(wfe.Namespace).GetLogs(stepOf(wfe, name).PodName, &corev1.PodLogOptions{Container: "main"}).DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(logs)) {
		if quoted, ok := strings.CutPrefix(strings.TrimSpace(line), "told "); ok {
			received, err := strconv.Unquote(quoted)
			Expect(err).NotTo(HaveOccurred())
			return received
		}
	}
	Fail("the log has no received value: " + string(logs))
	return ""
}
