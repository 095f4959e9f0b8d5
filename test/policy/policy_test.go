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

// attempt is what somebody tries, and what the API server says to it; nothing when it is allowed.
type attempt struct {
	as      string
	do      func(ctx context.Context, c client.Client) error
	refusal string
	reason  string
}

// creates tries to create an object.
func creates(object client.Object) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Create(ctx, object.DeepCopyObject().(client.Object))
	}
}

// changes tries to change the specification of an execution.
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

// patches tries to merge something into a Workflow.
func patches(name, patch string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Patch(ctx, workflow(name), client.RawPatch("application/merge-patch+json", []byte(patch)))
	}
}

// reports tries to write the status of an execution.
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
	"alice runs steps under a service account that she may use": {as: "alice", do: creates(execution("by-alice", under("remediation")))},
	"alice runs steps under another one": {
		as: "alice", do: creates(execution("too-much", under("cluster-admin"))),
		refusal: "alice may not let steps run under service account cluster-admin of namespace team: that takes the verb use on it",
	},
	"mallory runs steps under a service account that he may not use": {
		as: "mallory", do: creates(execution("by-mallory", under("remediation"))),
		refusal: "mallory may not let steps run under service account remediation of namespace team",
	},
	"mallory runs steps under the default": {as: "mallory", do: creates(execution("by-default")), reason: "the administrator chose it"},

	"alice approves what she asked for": {
		as: "alice", do: changes("asks", approved("ask", "alice")),
		refusal: "alice may not decide on step ask of asks: that takes the verb approve on workflowexecutions",
	},
	"alice approves in carol's name": {as: "alice", do: changes("asks", approved("ask", "carol")), refusal: "alice may not decide on step ask of asks"},
	"alice brings an approval along": {
		as: "alice", do: creates(execution("approved-before", approved("ask", "alice"))),
		refusal: "alice may not decide on step ask of approved-before",
	},
	"alice makes a dry run with approvals": {as: "alice", do: creates(execution("dry", dry, approved("ask", "carol"))), reason: "it changes nothing"},
	"alice pauses what carol approved":     {as: "alice", do: changes("approved", suspended)},
	"alice adds her approval to carol's": {
		as: "alice", do: changes("approved", approved("ask-again", "carol")), refusal: "alice may not decide on step ask-again of approved",
	},
	"carol approves in her own name":     {as: "carol", do: changes("asks-carol", approved("ask", "carol"))},
	"carol approves in alice's name":     {as: "carol", do: changes("asks", approved("ask", "alice")), refusal: "a decision is made in one's own name: by must be carol"},
	"carol approves in nobody's name":    {as: "carol", do: changes("asks", approved("ask", "")), refusal: "by must be carol"},
	"dave, who has both, approves alone": {as: "dave", do: creates(execution("by-dave", approved("ask", "dave"))), reason: "he was given both"},

	"eve forges a status":            {as: "eve", do: reports("asks"), refusal: "eve may not write the status of a WorkflowExecution; only its controller does"},
	"the controller writes a status": {as: controller, do: reports("reported")},

	"eve approves in Argo":                   {as: "eve", do: patches("asks", approves), refusal: "eve " + notOurs},
	"eve takes off the finalizer":            {as: "eve", do: patches("asks", `{"metadata":{"finalizers":null}}`), refusal: notOurs},
	"eve takes off the labels":               {as: "eve", do: patches("asks", `{"metadata":{"labels":null}}`), refusal: notOurs},
	"eve swaps the service account":          {as: "eve", do: patches("asks", `{"spec":{"serviceAccountName":"cluster-admin"}}`), refusal: notOurs},
	"eve deletes the record":                 {as: "eve", do: deletes("asks"), refusal: notOurs},
	"eve forges one by its label":            {as: "eve", do: creates(workflow("forged", labelled)), refusal: notOurs},
	"eve forges one by its owner":            {as: "eve", do: creates(workflow("forged", owned)), refusal: notOurs},
	"eve makes hers one of ours":             {as: "eve", do: patches("plain", `{"metadata":{"labels":{"workflowexecution.kubernaut.io/name":"asks"}}}`), refusal: notOurs},
	"eve writes a Workflow of her own":       {as: "eve", do: patches("plain", `{"spec":{"suspend":true}}`)},
	"eve creates a Workflow of her own":      {as: "eve", do: creates(workflow("hers"))},
	"Argo writes nodes":                      {as: argo, do: patches("asks-carol", approves)},
	"the controller creates one":             {as: controller, do: creates(workflow("made", labelled, owned))},
	"the controller takes off the finalizer": {as: controller, do: patches("asks-dave", `{"metadata":{"finalizers":null}}`)},
	"the garbage collector deletes":          {as: collector, do: deletes("garbage")},
	"another Argo writes nodes":              {as: otherArgo, do: patches("asks", approves), refusal: notOurs},
}

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"asks", "asks-carol", "reported"} {
		w.create(t, execution(name))
	}
	w.create(t, execution("approved", approved("ask", "carol")))
	for _, name := range []string{"asks", "asks-carol", "asks-dave", "garbage"} {
		w.create(t, workflow(name, labelled, owned))
	}
	w.create(t, workflow("plain"))
	w.install(t, "config/policy/*.yaml")
	for name, a := range attempts {
		if a.refusal != "" {
			t.Run("becomes active: "+name, func(t *testing.T) { w.awaitRefusal(t, a) })
		}
	}
	for name, a := range attempts {
		t.Run(name, func(t *testing.T) { a.check(t, w) })
	}
	t.Run("installed again", func(t *testing.T) { testAgain(t, w) })
	t.Run("Argo runs elsewhere", func(t *testing.T) { testOtherArgo(t, w) })
}

func (a attempt) check(t *testing.T, w *world) {
	t.Helper()
	err := a.do(t.Context(), w.as(t, a.as))
	switch {
	case a.refusal == "" && err != nil:
		t.Errorf("%s is refused: %v (%s)", a.as, err, a.reason)
	case a.refusal == "":
	case err == nil:
		t.Errorf("%s is not refused: want %q", a.as, a.refusal)
	case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), a.refusal):
		t.Errorf("%s is told %q; want %q", a.as, err, a.refusal)
	}
}

// testAgain takes the policies away and installs them once more: they must not have lost whom they know.
func testAgain(t *testing.T, w *world) {
	const installation = "config/policy/*.yaml"
	annotates := patches("asks", `{"metadata":{"annotations":{"a":"b"}}}`)
	forged := attempt{as: "eve", do: annotates, refusal: notOurs}
	w.uninstall(t, installation)
	w.awaitLeave(t, forged)
	w.install(t, installation)
	w.awaitRefusal(t, forged)
	for _, a := range []attempt{forged, {as: argo, do: annotates}, {as: controller, do: annotates}, {as: controller, do: reports("asks")}} {
		a.check(t, w)
	}
}

// testOtherArgo names another service account as Argo's.
func testOtherArgo(t *testing.T, w *world) {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Name: "workflowexecution-workflows"}, policy); err != nil {
		t.Fatal(err)
	}
	for i, variable := range policy.Spec.Variables {
		policy.Spec.Variables[i].Expression = strings.ReplaceAll(variable.Expression, argo, otherArgo)
	}
	if err := w.admin.Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	annotates := patches("asks", `{"metadata":{"annotations":{"a":"b"}}}`)
	w.awaitRefusal(t, attempt{as: argo, do: annotates})
	attempt{as: otherArgo, do: annotates}.check(t, w)
}
