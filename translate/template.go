package translate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// nonRootUser is the user of pods unless the action's template sets another: the executor's image would run as root.
const nonRootUser = 65532

// The defaults of the fields of a retry, for objects that the API server has not defaulted.
const (
	defaultBackoffSeconds    = 5
	defaultBackoffFactor     = 2
	defaultMaxBackoffSeconds = 300
)

// executorPatch gives Argo's own containers the security context that the Pod Security level "restricted" requires,
// independently of Argo's ConfigMap. A resource template has no wait container, and its main container is the executor
// (workflowpod.go:245), so it needs resourcePatch.
const (
	executorContext   = `{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}`
	executorPatch     = `{"initContainers":[{"name":"init","securityContext":` + executorContext + `}],"containers":[{"name":"wait","securityContext":` + executorContext + `}]}`
	resourcePatch     = `{"initContainers":[{"name":"init","securityContext":` + executorContext + `}],"containers":[{"name":"main","securityContext":` + executorContext + `}]}`
	retryUnlessUnable = "lastRetry.exitCode != '" + ExitCodeNeverWorks + "'"
)

// templateKey identifies a template: in Argo, timeout and retry belong to templates and not to tasks.
type templateKey struct {
	action  string
	timeout int32
	retry   retryKey
}

type retryKey struct {
	limit, backoff, factor, most int32
}

// templateSet collects the templates of one Workflow, each distinct one once, in order of first use.
type templateSet struct {
	templates   []wfv1.Template
	names       map[templateKey]string
	taken       map[string]bool
	last        map[string]int // the number of the latest template of each action
	hasApproval bool
}

func newTemplateSet() *templateSet {
	return &templateSet{
		names: map[templateKey]string{},
		taken: map[string]bool{dagTemplate: true, approvalTemplate: true},
		last:  map[string]int{},
	}
}

// withDAG returns the templates, with the entrypoint first.
func (s *templateSet) withDAG(tasks []wfv1.DAGTask) []wfv1.Template {
	dag := wfv1.Template{
		Name: dagTemplate,
		// The controller decides which failure stops the execution: it depends on which steps are critical.
		DAG: &wfv1.DAGTemplate{Tasks: tasks, FailFast: ptr.To(false)},
	}
	return append([]wfv1.Template{dag}, s.templates...)
}

// approval returns the name of the template of approvals, which it adds on first use. The template has no duration, because
// Argo ends a suspend node with one as Succeeded (operator.go:3721), which would approve. Before the Argo UI resumes a node,
// it shows the node's inputs and writes them to outputs of the same names; without inputs and outputs, it does not resume.
func (s *templateSet) approval() string {
	if !s.hasApproval {
		s.hasApproval = true
		s.templates = append(s.templates, wfv1.Template{
			Name:   approvalTemplate,
			Inputs: wfv1.Inputs{Parameters: []wfv1.Parameter{{Name: "message", Default: wfv1.AnyStringPtr("")}}},
			Outputs: wfv1.Outputs{Parameters: []wfv1.Parameter{{
				Name: "message", ValueFrom: &wfv1.ValueFrom{Supplied: &wfv1.SuppliedValueFrom{}, Default: wfv1.AnyStringPtr("")},
			}}},
			Suspend: &wfv1.SuspendTemplate{},
		})
	}
	return approvalTemplate
}

// action returns the name of the template for a call, which it adds on first use.
func (s *templateSet) action(action *Action, timeoutSeconds *int32, retry *wfev1.Retry) string {
	key := templateKey{action: action.Name, timeout: ptr.Deref(timeoutSeconds, 0), retry: keyOf(retry)}
	if name, made := s.names[key]; made {
		return name
	}
	name := action.Name
	for n := max(2, s.last[action.Name]+1); s.taken[name]; n++ {
		name, s.last[action.Name] = fmt.Sprintf("%s-%d", action.Name, n), n
	}
	s.names[key], s.taken[name] = name, true
	s.templates = append(s.templates, buildTemplate(name, action, key))
	return name
}

func keyOf(retry *wfev1.Retry) retryKey {
	if retry == nil {
		return retryKey{}
	}
	return retryKey{
		limit:   retry.Limit,
		backoff: ptr.Deref(retry.BackoffSeconds, defaultBackoffSeconds),
		factor:  ptr.Deref(retry.BackoffFactor, defaultBackoffFactor),
		most:    ptr.Deref(retry.MaxBackoffSeconds, defaultMaxBackoffSeconds),
	}
}

func buildTemplate(name string, action *Action, key templateKey) wfv1.Template {
	t := *action.template.DeepCopy()
	t.Name = name
	if key.timeout > 0 {
		t.Timeout = fmt.Sprintf("%ds", key.timeout)
	}
	if key.retry.limit > 0 {
		t.RetryStrategy = buildRetryStrategy(key.retry)
	}
	t.PodSpecPatch = executorPatch
	if t.Resource != nil {
		t.PodSpecPatch = resourcePatch
	}
	restrictContainers(&t)
	return t
}

// buildRetryStrategy sets limit and backoff together: without a limit, Argo ignores the backoff. The policy is Always because
// the default policy does not repeat a step whose pod was deleted.
func buildRetryStrategy(key retryKey) *wfv1.RetryStrategy {
	limit, factor := intstr.FromInt32(key.limit), intstr.FromInt32(key.factor)
	return &wfv1.RetryStrategy{
		Limit:       &limit,
		RetryPolicy: wfv1.RetryPolicyAlways,
		Expression:  retryUnlessUnable,
		Backoff: &wfv1.Backoff{
			Duration: fmt.Sprintf("%ds", key.backoff),
			Factor:   &factor,
			Cap:      fmt.Sprintf("%ds", key.most),
		},
	}
}

// restrictContainers gives the action's containers a restricted security context where the template sets none.
func restrictContainers(t *wfv1.Template) {
	if t.Container != nil && t.Container.SecurityContext == nil {
		t.Container.SecurityContext = restrictedContainer()
	}
	if t.Script != nil && t.Script.SecurityContext == nil {
		t.Script.SecurityContext = restrictedContainer()
	}
}

func restrictedContainer() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		RunAsNonRoot:             ptr.To(true),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func restrictedPod() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		RunAsUser:      ptr.To[int64](nonRootUser),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}
