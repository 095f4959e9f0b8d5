package policy

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// attempt is a request of a user and the expected refusal, which is empty if the request is allowed.
type attempt struct {
	as      string
	do      func(ctx context.Context, c client.Client) error
	refusal string
	reason  string
}

// creates creates an object.
func creates(object client.Object) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Create(ctx, object.DeepCopyObject().(client.Object))
	}
}

// changes changes the specification of an execution.
func changes(name string, mutate func(*wfev1.WorkflowExecutionSpec)) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		wfe := &wfev1.WorkflowExecution{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: team, Name: name}, wfe); err != nil {
			return err
		}
		was := wfe.DeepCopy()
		mutate(&wfe.Spec)
		return c.Patch(ctx, wfe, client.MergeFrom(was))
	}
}

// patches patches a Workflow.
func patches(name, patch string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Patch(ctx, workflow(name), client.RawPatch("application/merge-patch+json", []byte(patch)))
	}
}

// reports writes the status of an execution.
func reports(name string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		wfe := execution(name)
		if err := c.Get(ctx, client.ObjectKeyFromObject(wfe), wfe); err != nil {
			return err
		}
		wfe.Status.Phase = wfev1.PhaseCompleted
		return c.Status().Update(ctx, wfe)
	}
}

func deletes(name string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error { return c.Delete(ctx, workflow(name)) }
}

const (
	notOurs  = "may not write a Workflow of a WorkflowExecution; steer the WorkflowExecution instead"
	approves = `{"status":{"nodes":{"asks-1":{"id":"asks-1","name":"asks","displayName":"ask","type":"Suspend","phase":"Succeeded"}}}}`
)

var attempts = map[string]attempt{
	"alice uses a service account that she may use": {as: "alice", do: creates(execution("by-alice", under("remediation")))},
	"alice uses another service account": {
		as: "alice", do: creates(execution("too-much", under("cluster-admin"))),
		refusal: "alice may not let steps run under service account cluster-admin of namespace team: that takes the verb use on it",
	},
	"mallory uses a service account that he may not use": {
		as: "mallory", do: creates(execution("by-mallory", under("remediation"))),
		refusal: "mallory may not let steps run under service account remediation of namespace team",
	},
	"mallory uses the default service account": {as: "mallory", do: creates(execution("by-default")), reason: "the administrator configured it"},

	"alice approves her own request": {
		as: "alice", do: changes("asks", approved("ask", "alice")),
		refusal: "alice may not decide on step ask of asks: that takes the verb approve on workflowexecutions",
	},
	"alice approves in carol's name": {as: "alice", do: changes("asks", approved("ask", "carol")), refusal: "alice may not decide on step ask of asks"},
	"alice creates an execution with an approval": {
		as: "alice", do: creates(execution("approved-before", approved("ask", "alice"))),
		refusal: "alice may not decide on step ask of approved-before",
	},
	"alice creates a dry run with an approval":        {as: "alice", do: creates(execution("dry", dry, approved("ask", "carol"))), reason: "it changes nothing"},
	"alice suspends an execution that carol approved": {as: "alice", do: changes("approved", suspended)},
	"alice adds her approval to carol's": {
		as: "alice", do: changes("approved", approved("ask-again", "carol")), refusal: "alice may not decide on step ask-again of approved",
	},
	"carol approves in her own name":                 {as: "carol", do: changes("asks-carol", approved("ask", "carol"))},
	"carol approves in alice's name":                 {as: "carol", do: changes("asks", approved("ask", "alice")), refusal: "a decision is made in one's own name: by must be carol"},
	"carol approves without a name":                  {as: "carol", do: changes("asks", approved("ask", "")), refusal: "by must be carol"},
	"dave, who has both roles, creates and approves": {as: "dave", do: creates(execution("by-dave", approved("ask", "dave"))), reason: "both roles are bound to him"},

	"eve forges a status":            {as: "eve", do: reports("asks"), refusal: "eve may not write the status of a WorkflowExecution; only its controller does"},
	"the controller writes a status": {as: controller, do: reports("reported")},

	"eve approves in Argo":                                      {as: "eve", do: patches("asks", approves), refusal: "eve " + notOurs},
	"eve removes the finalizer":                                 {as: "eve", do: patches("asks", `{"metadata":{"finalizers":null}}`), refusal: notOurs},
	"eve removes the labels":                                    {as: "eve", do: patches("asks", `{"metadata":{"labels":null}}`), refusal: notOurs},
	"eve changes the service account":                           {as: "eve", do: patches("asks", `{"spec":{"serviceAccountName":"cluster-admin"}}`), refusal: notOurs},
	"eve deletes a Workflow":                                    {as: "eve", do: deletes("asks"), refusal: notOurs},
	"eve creates a Workflow with the controller's labels":       {as: "eve", do: creates(workflow("forged", labelled)), refusal: notOurs},
	"eve creates a Workflow with an execution as its owner":     {as: "eve", do: creates(workflow("forged", owned)), refusal: notOurs},
	"eve adds the controller's labels to a Workflow of her own": {as: "eve", do: patches("plain", `{"metadata":{"labels":{"workflowexecution.kubernaut.io/name":"asks"}}}`), refusal: notOurs},
	"eve writes a Workflow of her own":                          {as: "eve", do: patches("plain", `{"spec":{"suspend":true}}`)},
	"eve creates a Workflow of her own":                         {as: "eve", do: creates(workflow("hers"))},
	"Argo writes nodes":                                         {as: argo, do: patches("asks-carol", approves)},
	"the controller creates a Workflow":                         {as: controller, do: creates(workflow("made", labelled, owned))},
	"the controller removes the finalizer":                      {as: controller, do: patches("asks-dave", `{"metadata":{"finalizers":null}}`)},
	"the garbage collector deletes a Workflow":                  {as: collector, do: deletes("garbage")},
	"another Argo writes nodes":                                 {as: otherArgo, do: patches("asks", approves), refusal: notOurs},
}

func TestPolicies(t *testing.T) {
	s := newAPIServer(t)
	for _, name := range []string{"asks", "asks-carol", "reported"} {
		s.create(t, execution(name))
	}
	s.create(t, execution("approved", approved("ask", "carol")))
	for _, name := range []string{"asks", "asks-carol", "asks-dave", "garbage"} {
		s.create(t, workflow(name, labelled, owned))
	}
	s.create(t, workflow("plain"))
	s.install(t, "config/policy/*.yaml")
	for name, a := range attempts {
		if a.refusal != "" {
			t.Run("becomes active: "+name, func(t *testing.T) { s.awaitRefusal(t, a) })
		}
	}
	for name, a := range attempts {
		t.Run(name, func(t *testing.T) { a.check(t, s) })
	}
	t.Run("reinstallation", func(t *testing.T) { testReinstallation(t, s) })
	t.Run("Argo with another service account", func(t *testing.T) { testOtherArgo(t, s) })
}

func (a attempt) check(t *testing.T, s *apiServer) {
	t.Helper()
	err := a.do(t.Context(), s.as(t, a.as))
	switch {
	case a.refusal == "" && err != nil:
		t.Errorf("%s is refused: %v (%s)", a.as, err, a.reason)
	case a.refusal == "":
	case err == nil:
		t.Errorf("%s is not refused, want %q", a.as, a.refusal)
	case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), a.refusal):
		t.Errorf("%s is refused with %q, want %q", a.as, err, a.refusal)
	}
}

// testReinstallation uninstalls and installs the policies: they must still allow Argo and the controller.
func testReinstallation(t *testing.T, s *apiServer) {
	const installation = "config/policy/*.yaml"
	annotates := patches("asks", `{"metadata":{"annotations":{"a":"b"}}}`)
	forged := attempt{as: "eve", do: annotates, refusal: notOurs}
	s.uninstall(t, installation)
	s.awaitPermission(t, forged)
	s.install(t, installation)
	s.awaitRefusal(t, forged)
	for _, a := range []attempt{forged, {as: argo, do: annotates}, {as: controller, do: annotates}, {as: controller, do: reports("asks")}} {
		a.check(t, s)
	}
}

// testOtherArgo configures another service account for Argo.
func testOtherArgo(t *testing.T, s *apiServer) {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	if err := s.admin.Get(t.Context(), client.ObjectKey{Name: "workflowexecution-workflows"}, policy); err != nil {
		t.Fatal(err)
	}
	for i, variable := range policy.Spec.Variables {
		policy.Spec.Variables[i].Expression = strings.ReplaceAll(variable.Expression, argo, otherArgo)
	}
	if err := s.admin.Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	annotates := patches("asks", `{"metadata":{"annotations":{"a":"b"}}}`)
	s.awaitRefusal(t, attempt{as: argo, do: annotates})
	attempt{as: otherArgo, do: annotates}.check(t, s)
}
