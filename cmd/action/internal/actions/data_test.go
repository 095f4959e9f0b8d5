package actions

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func settings() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: namespace, UID: "uid-of-settings"},
		Data:       map[string]string{"level": "info", "other": "kept"},
		BinaryData: map[string][]byte{"blob": {0xff, 1}},
	}
}

func (f *fixture) configMap(name string) *corev1.ConfigMap {
	f.t.Helper()
	found, err := f.kube.Tracker().Get(corev1.SchemeGroupVersion.WithResource("configmaps"), namespace, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return found.(*corev1.ConfigMap)
}

func TestConfigMaps(t *testing.T) {
	t.Parallel()
	target := map[string]string{"configmap": "settings", "key": "level", "value": encode("de{{bug}}\n")}
	writes := []string{"create configmaps", "patch configmaps"}
	invalid := result{Exit: 64, Reason: "InvalidSpec", Message: "parameter key"}
	cases := map[string]struct {
		reason     string
		parameters map[string]string
		changed    string
		writes     []string
		data       map[string]string
		binary     map[string][]byte
		fails      *result
	}{
		"Text": {
			reason: "any text, the other keys stay", parameters: target, changed: "true", writes: writes,
			data: map[string]string{"level": "de{{bug}}\n", "other": "kept"}, binary: settings().BinaryData,
		},
		"Bytes": {
			reason: "bytes that are not text go to binaryData and leave data", parameters: with(target, "value", encode("\xfe\x00")), changed: "true", writes: writes,
			data: map[string]string{"other": "kept"}, binary: map[string][]byte{"blob": {0xff, 1}, "level": {0xfe, 0}},
		},
		"TextForBytes": {
			reason: "a key is never in both", parameters: with(target, "key", "blob", "value", encode("text")), changed: "true", writes: writes,
			data: map[string]string{"level": "info", "other": "kept", "blob": "text"}, binary: map[string][]byte{},
		},
		"Remove": {
			reason: "the key goes", parameters: with(target, "remove", "true"), changed: "true", writes: writes,
			data: map[string]string{"other": "kept"}, binary: settings().BinaryData,
		},
		"Same": {
			reason: "nothing to change, no snapshot", parameters: with(target, "value", encode("info")), changed: "false",
			data: settings().Data, binary: settings().BinaryData,
		},
		"BadKey": {
			reason: "rejected before any request to the API server", parameters: with(target, "key", "a/b"), fails: &invalid,
			data: settings().Data, binary: settings().BinaryData,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, settings())
			got := f.attempt(run{action: "update-configmap", parameters: c.parameters})
			compare := func(what string, data map[string]string, binary map[string][]byte) {
				t.Helper()
				found := f.configMap("settings")
				if diff := cmp.Diff(data, found.Data) + cmp.Diff(binary, found.BinaryData); diff != "" {
					t.Errorf("%s\n%s (-want +got):\n%s", c.reason, what, diff)
				}
			}
			compare("data", c.data, c.binary)
			if c.fails != nil {
				c.fails.check(t, c.reason, got)
				return
			}
			snapshot := got.Outputs["previous-snapshot"]
			want := result{Outputs: map[string]string{"changed": c.changed, "previous-snapshot": snapshot, "previous-value": ""}, Writes: c.writes}
			want.check(t, c.reason, got)
			if (snapshot != "") != (c.changed == "true") {
				t.Errorf("%s\na snapshot exists if and only if something changed: %q", c.reason, snapshot)
			}
			want.Writes = nil
			want.check(t, c.reason+", again", f.attempt(run{action: "update-configmap", parameters: c.parameters}))
			undo := map[string]string{"configmap": "settings", "snapshot": snapshot}
			back := f.attempt(run{action: "restore-configmap", workflow: "rollback", parameters: undo})
			if back.Exit != 0 || back.Outputs["changed"] != c.changed {
				t.Errorf("%s\nundo: %+v", c.reason, back)
			}
			compare("data after undo", settings().Data, settings().BinaryData)
		})
	}
}

func TestConfigMapSnapshots(t *testing.T) {
	t.Parallel()
	parameters := map[string]string{"configmap": "settings", "key": "level", "value": encode("debug")}
	t.Run("CrashedAfterTheSnapshot", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, settings())
		f.failOnce("patch", "configmaps", errors.New("killed here"))
		if got := f.attempt(run{action: "update-configmap", parameters: parameters}); got.Exit != 1 {
			t.Fatalf("the first attempt ends early: %+v", got)
		}
		got := f.attempt(run{action: "update-configmap", parameters: parameters})
		snapshot := got.Outputs["previous-snapshot"]
		result{
			Outputs: map[string]string{"changed": "true", "previous-snapshot": snapshot, "previous-value": ""},
			Writes:  []string{"create configmaps", "update configmaps", "patch configmaps"},
		}.check(t, "the retry replaces its own snapshot", got)
		if diff := cmp.Diff(settings().Data, f.configMap(snapshot).Data); diff != "" {
			t.Errorf("the snapshot holds the previous data (-want +got):\n%s", diff)
		}
	})
	t.Run("Bounded", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, settings())
		for i := range 2 * maxSnapshots {
			f.attempt(run{action: "update-configmap", step: fmt.Sprint("s", i), parameters: with(parameters, "value", encode(fmt.Sprint(i)))})
		}
		list, err := f.kube.Tracker().List(corev1.SchemeGroupVersion.WithResource("configmaps"), corev1.SchemeGroupVersion.WithKind("ConfigMap"), namespace)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(list.(*corev1.ConfigMapList).Items); n != maxSnapshots+1 {
			t.Errorf("there are %d ConfigMaps, want the one and %d snapshots", n, maxSnapshots)
		}
	})
	t.Run("OfAnother", func(t *testing.T) {
		t.Parallel()
		other := settings()
		other.Name = "other"
		f := newFixture(t, settings(), other)
		got := f.attempt(run{action: "restore-configmap", parameters: map[string]string{"configmap": "settings", "snapshot": "other"}})
		result{Exit: 64, Reason: "ActionFailed", Message: "configmap other is not a snapshot of settings"}.check(t, "an object without the annotation is not a snapshot", got)
	})
	t.Run("DryRun", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, settings())
		got := f.attempt(run{action: "update-configmap", parameters: with(parameters, "dry-run", "true")})
		if got.Exit != 0 || got.Outputs["changed"] != "true" {
			t.Errorf("a dry run reports what would change: %+v", got)
		}
		if diff := cmp.Diff(settings().Data, f.configMap("settings").Data); diff != "" {
			t.Errorf("a dry run changes nothing (-want +got):\n%s", diff)
		}
	})
}

func TestUpdateSecret(t *testing.T) {
	t.Parallel()
	secret := func(name string, data map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "uid-of-secret"}, Data: map[string][]byte{}}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		return s
	}
	objects := func() []runtime.Object {
		return []runtime.Object{secret("db", map[string]string{"password": "old", "user": "api"}), secret("new", map[string]string{"password": "new", "token": "t"})}
	}
	target := map[string]string{"secret": "db", "key": "password", "from-secret": "new"}
	writes := []string{"create secrets", "patch secrets"}
	cases := map[string]struct {
		reason     string
		parameters map[string]string
		prepare    func(*fixture)
		changed    string
		data       map[string]string
		fails      *result
	}{
		"Copy":       {reason: "the value comes from the other Secret", parameters: target, changed: "true", data: map[string]string{"password": "new", "user": "api"}},
		"AnotherKey": {reason: "under another key", parameters: with(target, "from-key", "token"), changed: "true", data: map[string]string{"password": "t", "user": "api"}},
		"NewKey":     {reason: "the rollback removes it again", parameters: with(target, "key", "token"), changed: "true", data: map[string]string{"password": "old", "user": "api", "token": "t"}},
		"NoSuchKey": {
			reason: "a missing key is an error", parameters: with(target, "from-key", "nope"), data: map[string]string{"password": "old", "user": "api"},
			fails: &result{Exit: 64, Reason: "ActionFailed", Message: "secret new has no key nope"},
		},
		"NoSource": {
			reason: "the source is required", parameters: map[string]string{"secret": "db", "key": "password"}, data: map[string]string{"password": "old", "user": "api"},
			fails: &result{Exit: 64, Reason: "InvalidSpec", Message: "from-secret is required"},
		},
		"Forbidden": {
			reason: "the message names the role", parameters: target, data: map[string]string{"password": "old", "user": "api"},
			prepare: func(f *fixture) {
				f.failAlways("get", "secrets", apierrors.NewForbidden(groupResource("", "secrets"), "new", errors.New("cannot get")))
			},
			fails: &result{Exit: 64, Reason: "Forbidden", Message: "workflowexecution-action-update-secret"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, objects()...)
			if c.prepare != nil {
				c.prepare(f)
			}
			data := func() map[string]string {
				found, err := f.kube.Tracker().Get(corev1.SchemeGroupVersion.WithResource("secrets"), namespace, "db")
				if err != nil {
					t.Fatal(err)
				}
				all := map[string]string{}
				for k, v := range found.(*corev1.Secret).Data {
					all[k] = string(v)
				}
				return all
			}
			got := f.attempt(run{action: "update-secret", parameters: c.parameters})
			if diff := cmp.Diff(c.data, data()); diff != "" {
				t.Errorf("%s\ndata (-want +got):\n%s", c.reason, diff)
			}
			if c.fails != nil {
				c.fails.check(t, c.reason, got)
				return
			}
			snapshot := got.Outputs["previous-snapshot"]
			want := result{Outputs: map[string]string{"changed": c.changed, "previous-snapshot": snapshot}, Writes: writes}
			want.check(t, c.reason, got)
			want.Writes = nil
			want.check(t, c.reason+", again", f.attempt(run{action: "update-secret", parameters: c.parameters}))
			if !strings.HasPrefix(snapshot, "db-wfe-") {
				t.Errorf("%s\nsnapshot %q", c.reason, snapshot)
			}
			f.attempt(run{action: "update-secret", workflow: "rollback", parameters: map[string]string{
				"secret": "db", "key": c.parameters["key"], "from-secret": snapshot, "when-missing": "remove",
			}})
			if diff := cmp.Diff(map[string]string{"password": "old", "user": "api"}, data()); diff != "" {
				t.Errorf("%s\ndata after undo (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
