package actions

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
)

// TestSecretsStaySecret plants a value in Secrets, runs every action that could read them, and searches outputs, logs and
// messages for the value.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const planted = "hunter2-planted"
	secret := func(name, value string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string][]byte{"password": []byte(value)}}
	}
	patch := map[string]string{"api-version": "v1", "kind": "Secret", "name": "db", "patch": encode(`stringData: {password: new}`)}
	update := map[string]string{"secret": "db", "key": "password", "from-secret": "new"}
	for name, r := range map[string]run{
		"PatchMerge":     {action: "patch-resource", parameters: patch},
		"PatchStrategic": {action: "patch-resource", parameters: with(patch, "type", "strategic")},
		"PatchApply":     {action: "patch-resource", parameters: with(patch, "type", "apply")},
		"PatchDryRun":    {action: "patch-resource", parameters: with(patch, "dry-run", "true")},
		"WaitFor":        {action: "wait-for", parameters: map[string]string{"api-version": "v1", "kind": "Secret", "name": "db", "for": encode("jsonpath={.data.password}=x")}},
		"Update":         {action: "update-secret", parameters: update},
		"UpdateDryRun":   {action: "update-secret", parameters: with(update, "dry-run", "true")},
		"UpdateMissing":  {action: "update-secret", parameters: with(update, "from-key", "none")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, secret("db", planted), secret("new", planted+"-too"))
			scheme := runtime.NewScheme()
			_ = corev1.AddToScheme(scheme)
			f.clients.Dynamic = dynamicfake.NewSimpleDynamicClient(scheme, secret("db", planted))
			mapper := meta.NewDefaultRESTMapper(nil)
			mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, meta.RESTScopeNamespace)
			f.clients.Mapper = mapper
			got := f.attempt(r)
			if r.action != "update-secret" && (got.Exit != 64 || !strings.Contains(got.Message, "use update-secret")) {
				t.Errorf("the action reads a Secret: %+v", got)
			}
			for _, form := range []string{planted, encode(planted), encode(planted)[:16]} {
				for where, text := range map[string]string{"log": f.log, "message": got.Message, "outputs": strings.Join(listValues(got.Outputs), "\n")} {
					if strings.Contains(text, form) {
						t.Errorf("the %s contains the value of the Secret: %s", where, text)
					}
				}
			}
		})
	}
}

func listValues(m map[string]string) []string {
	var values []string
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// TestLogNamesOutputs verifies that the log contains no value of an output, which can be sensitive.
func TestLogNamesOutputs(t *testing.T) {
	t.Parallel()
	d := paymentAPI(func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "TOKEN", Value: "hunter2-planted"}}
	})
	f := newFixture(t, d).rollsOut(settleDeployment)
	got := f.attempt(run{action: "set-env", parameters: map[string]string{"deployment": "payment-api", "name": "TOKEN", "value": encode("other-planted")}})
	if got.Exit != 0 || got.Outputs["previous-value"] == "" {
		t.Fatalf("%+v", got)
	}
	for _, value := range []string{"planted", got.Outputs["previous-value"], encode("other-planted")} {
		if strings.Contains(f.log, value) {
			t.Errorf("the log contains a value: %s", f.log)
		}
	}
	if !strings.Contains(f.log, "previous-value") {
		t.Errorf("the log does not name the outputs: %s", f.log)
	}
}

func TestRestartOfUsers(t *testing.T) {
	t.Parallel()
	const users = "deployment/payment-api, statefulset/ledger,daemonset/agent"
	secret := func(name string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string][]byte{"password": []byte(name)}}
	}
	old := settings()
	old.Name, old.Data, old.Annotations = "old", map[string]string{"level": "debug"}, map[string]string{annotationSnapshotOf: "settings"}
	same := settings()
	same.Name, same.Annotations = "same", map[string]string{annotationSnapshotOf: "settings"}
	for name, c := range map[string]struct {
		reason   string
		run      run
		restarts bool
		message  string
	}{
		"Update":       {reason: "the pods read the new data", run: run{action: "update-configmap", parameters: map[string]string{"configmap": "settings", "key": "level", "value": encode("debug")}}, restarts: true},
		"Unchanged":    {reason: "nothing to read", run: run{action: "update-configmap", parameters: map[string]string{"configmap": "settings", "key": "level", "value": encode("info")}}},
		"Secret":       {reason: "the pods read the new data", run: run{action: "update-secret", parameters: map[string]string{"secret": "db", "key": "password", "from-secret": "new"}}, restarts: true},
		"Undo":         {reason: "the pods run with the bad data", run: run{action: "restore-configmap", workflow: "rollback", parameters: map[string]string{"configmap": "settings", "snapshot": "old"}}, restarts: true},
		"UndoDone":     {reason: "another client has restored it, and the pods run with the bad data", run: run{action: "restore-configmap", workflow: "rollback", parameters: map[string]string{"configmap": "settings", "snapshot": "same"}}, restarts: true},
		"NoSnapshot":   {reason: "the step changed nothing", run: run{action: "restore-configmap", workflow: "rollback", parameters: map[string]string{"configmap": "settings"}}},
		"SecretUndone": {reason: "the step changed nothing", run: run{action: "update-secret", workflow: "rollback", parameters: map[string]string{"secret": "db", "key": "password", "when-missing": "remove"}}},
		"DryRun":       {reason: "a dry run restarts nothing", run: run{action: "update-configmap", parameters: map[string]string{"configmap": "settings", "key": "level", "value": encode("debug"), "dry-run": "true"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, settings(), old.DeepCopy(), same.DeepCopy(), secret("db"), secret("new"), paymentAPI(),
				ledger(appsv1.RollingUpdateStatefulSetStrategyType), agent(appsv1.RollingUpdateDaemonSetStrategyType)).rollsOut(settleDeployment)
			f.settles("daemonsets", settleDaemonSet, nil)
			f.settles("statefulsets", settleStatefulSet, nil)
			c.run.parameters = with(c.run.parameters, "restart", users)
			got := f.attempt(c.run)
			if got.Exit != 0 {
				t.Fatalf("%s: %+v", c.reason, got)
			}
			stamp := f.deployment().Spec.Template.Annotations[annotationRestartedAt]
			if (stamp != "") != c.restarts {
				t.Errorf("%s: restarted at %q", c.reason, stamp)
			}
			for _, resource := range []string{"deployments", "statefulsets", "daemonsets"} {
				if restarted := slices.Contains(got.Writes, "patch "+resource); !isDry(c.run) && restarted != c.restarts {
					t.Errorf("%s: %s restarted: %v", c.reason, resource, restarted)
				}
			}
			again := f.attempt(c.run)
			if diff := cmp.Diff(got.Outputs, again.Outputs); diff != "" || f.deployment().Spec.Template.Annotations[annotationRestartedAt] != stamp {
				t.Errorf("%s: a retry restarts once more or reports something else: %s", c.reason, diff)
			}
		})
	}
	bad := newFixture(t, settings()).attempt(run{action: "update-configmap", parameters: map[string]string{
		"configmap": "settings", "key": "level", "restart": "pod/x",
	}})
	result{Exit: 64, Reason: "InvalidSpec", Message: "must be workloads like deployment/payment-api"}.check(t, "pods are not restarted by name", bad)
}

func isDry(r run) bool { return r.parameters["dry-run"] == "true" }

func TestDryRunsReportWhatWouldChange(t *testing.T) {
	t.Parallel()
	got := newFixture(t, settings()).attempt(run{action: "update-configmap", parameters: map[string]string{
		"configmap": "settings", "key": "level", "value": encode("debug"), "dry-run": "true",
	}})
	if got.Outputs["previous-value"] != encode("info") {
		t.Errorf("the dry run does not show the value that would be replaced: %+v", got)
	}
	got = newFixture(t, revisions()...).attempt(run{action: "rollback-deployment", parameters: map[string]string{"deployment": "payment-api", "dry-run": "true"}})
	if got.Outputs["previous-revision"] != "3" || got.Outputs["target-revision"] != "2" {
		t.Errorf("the dry run does not show the revisions: %+v", got)
	}
}
