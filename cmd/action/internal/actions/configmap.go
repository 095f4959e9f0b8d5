package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// snapshotVerbs lists the verbs that a change with a snapshot needs.
func snapshotVerbs() []string { return []string{"get", "list", "create", "update", "patch", "delete"} }

func snapshotOutput(kind string) contract.Output {
	return contract.Output{
		Name:        "previous-snapshot",
		Description: "The name of the " + kind + " that holds the data before the step; empty if nothing changed.",
	}
}

// dataKey rejects a value that cannot be a key of a ConfigMap or Secret.
func dataKey(value string) error {
	if problems := validation.IsConfigMapKey(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

func updateConfigMap() contract.Action {
	return contract.Action{
		Name:    "update-configmap",
		Summary: "Sets or removes one key of a ConfigMap, stores its previous data in a snapshot, and restarts its users.",
		Undo:    "restore-configmap with snapshot from previous-snapshot, and the same restart",
		Parameters: []contract.Parameter{
			{Name: "configmap", Description: "The ConfigMap to change.", Required: true, Check: contract.ObjectName},
			{Name: "key", Description: "The key to set.", Required: true, Check: dataKey},
			{Name: "value", Description: "The value to set; any bytes.", Base64: true},
			{Name: "remove", Description: "Whether to remove the key instead.", Default: "false", Enum: []string{"true", "false"}},
			restartParameter(), contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(), snapshotOutput("ConfigMap"),
			{
				Name: "previous-value", Base64: true,
				Description: fmt.Sprintf("In a dry run, the first %d bytes of the value before the step; otherwise empty.", maxDryRunValue),
			},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: snapshotVerbs()},
		},
		Run: runUpdateConfigMap,
	}
}

func restoreConfigMap() contract.Action {
	return contract.Action{
		Name:    "restore-configmap",
		Summary: "Restores the data of a ConfigMap from a snapshot that update-configmap stored, and restarts its users.",
		Undo:    "cannot be undone; the snapshot is not deleted",
		Parameters: []contract.Parameter{
			{Name: "configmap", Description: "The ConfigMap to restore.", Required: true, Check: contract.ObjectName},
			{Name: "snapshot", Description: "The snapshot to restore; if empty, the step changes nothing.", Check: contract.ObjectName},
			restartParameter(), contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "patch"}},
		},
		Run: runRestoreConfigMap,
	}
}

func configMapSnapshots(s *contract.Step) snapshots[*corev1.ConfigMap, *corev1.ConfigMapList] {
	return snapshots[*corev1.ConfigMap, *corev1.ConfigMapList]{
		kind: "configmap", owner: "ConfigMap", store: s.Kube.CoreV1().ConfigMaps(s.Namespace),
		copyOf: func(c *corev1.ConfigMap) *corev1.ConfigMap {
			return &corev1.ConfigMap{Data: c.Data, BinaryData: c.BinaryData}
		},
	}
}

func runUpdateConfigMap(ctx context.Context, s *contract.Step) error {
	key, previous := s.String("key"), ""
	err := configMapSnapshots(s).change(ctx, s, s.String("configmap"), func(found *corev1.ConfigMap) map[string]any {
		previous = found.Data[key] + string(found.BinaryData[key])
		return editData(found, key, s.String("value"), s.Bool("remove"))
	}, "key", key)
	if err != nil || !s.DryRun {
		return err
	}
	return s.Output("previous-value", strings.ToValidUTF8(previous[:min(len(previous), maxDryRunValue)], "�"))
}

// maxDryRunValue bounds the part of a value that a dry run shows.
const maxDryRunValue = 256

// editData is the patch that gives a key a value, nil if it has it. Text goes to data, anything else to binaryData; a key
// must not be in both.
func editData(found *corev1.ConfigMap, key, value string, remove bool) map[string]any {
	text, isText := found.Data[key]
	binary, isBinary := found.BinaryData[key]
	switch {
	case remove && (isText || isBinary):
		return map[string]any{"data": map[string]any{key: nil}, "binaryData": map[string]any{key: nil}}
	case remove, isText && text == value, isBinary && bytes.Equal(binary, []byte(value)):
		return nil
	case utf8.ValidString(value):
		return map[string]any{"data": map[string]any{key: value}, "binaryData": map[string]any{key: nil}}
	default:
		return map[string]any{"data": map[string]any{key: nil}, "binaryData": map[string]any{key: []byte(value)}}
	}
}

func runRestoreConfigMap(ctx context.Context, s *contract.Step) error {
	name, kept := s.String("configmap"), configMapSnapshots(s)
	if s.String("snapshot") == "" {
		s.Log.Info("nothing to restore: the parameter snapshot is empty")
		return s.Changed(false)
	}
	snapshot, err := kept.read(ctx, s, s.String("snapshot"), name)
	if err != nil {
		return err
	}
	_, err = change(ctx, s, kept.store, kept.kind, name, func(found *corev1.ConfigMap, _ bool) (edit, error) {
		data, dataDiffers := replaceMap(found.Data, snapshot.Data, func(a, b string) bool { return a == b })
		binary, binaryDiffers := replaceMap(found.BinaryData, snapshot.BinaryData, bytes.Equal)
		e := edit{message: "restored", attributes: []any{"snapshot", snapshot.Name}, field: []string{"data"}}
		if dataDiffers || binaryDiffers {
			e.patch = map[string]any{"data": data, "binaryData": binary}
		}
		return e, nil
	})
	if err != nil {
		return err
	}
	// The pods may still run with the data from before the restore, even if another client has restored it.
	return restartUsers(ctx, s)
}

// replaceMap builds the patch that turns one map into another, and reports whether they differ.
func replaceMap[V any](from, to map[string]V, same func(a, b V) bool) (map[string]any, bool) {
	patch := map[string]any{}
	for key := range from {
		if _, stays := to[key]; !stays {
			patch[key] = nil
		}
	}
	for key, value := range to {
		if now, is := from[key]; !is || !same(now, value) {
			patch[key] = value
		}
	}
	return patch, len(patch) > 0
}
