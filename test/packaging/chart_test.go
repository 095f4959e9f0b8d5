package packaging

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// sets maps kinds of installation to the values of the chart and to the kustomizations that must result in the same objects.
var sets = map[string]struct {
	values    []string
	kustomize func(t *testing.T) []*unstructured.Unstructured
}{
	"default": {
		kustomize: func(t *testing.T) []*unstructured.Unstructured { return kustomize(t, root(t), "config/default") },
	},
	"two replicas": {
		values: []string{"replicas=2"},
		kustomize: func(t *testing.T) []*unstructured.Unstructured {
			return withComponents(t, "components/high-availability")
		},
	},
	"monitoring": {
		values: []string{"monitoring.install=true"},
		kustomize: func(t *testing.T) []*unstructured.Unstructured {
			return kustomize(t, root(t), "config/default", "config/prometheus", "config/grafana")
		},
	},
	"policies": {
		values: []string{"policies.install=true", "networkPolicy.install=true"},
		kustomize: func(t *testing.T) []*unstructured.Unstructured {
			return kustomize(t, root(t), "config/default", "config/policy", "config/network-policy")
		},
	},
	"without the catalog": {
		values: []string{"actions.install=false"},
		kustomize: func(t *testing.T) []*unstructured.Unstructured {
			return slices.DeleteFunc(kustomize(t, root(t), "config/default"), func(o *unstructured.Unstructured) bool {
				return o.GetLabels()["app.kubernetes.io/component"] == "action"
			})
		},
	},
	"without parts that are installed separately": {
		values: []string{"crd.install=false", "serviceAccount.create=false", "userRoles.install=false"},
		kustomize: func(t *testing.T) []*unstructured.Unstructured {
			userRoles, err := testutil.ReadManifests(filepath.Join(root(t), "config", "rbac", "user_roles.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			return slices.DeleteFunc(kustomize(t, root(t), "config/default"), func(o *unstructured.Unstructured) bool {
				isUserRole := slices.ContainsFunc(userRoles, func(role *unstructured.Unstructured) bool { return key(role) == key(o) })
				return o.GetKind() == "CustomResourceDefinition" || o.GetKind() == "ServiceAccount" || isUserRole
			})
		},
	},
}

// TestChartEqualsKustomize compares object by object, except for the namespace, which Helm creates, and its labels and annotations.
func TestChartEqualsKustomize(t *testing.T) {
	t.Parallel()
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := byKey(slices.DeleteFunc(set.kustomize(t), func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" }))
			got := byKey(render(t, systemNamespace, arguments(set.values)...))
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if diff := cmp.Diff(want[name], got[name]); diff != "" {
					t.Errorf("%s (-kustomize +chart):\n%s", name, diff)
				}
				delete(got, name)
			}
			for name := range got {
				t.Errorf("only the chart has %s", name)
			}
		})
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"lint", "--strict", "config/chart"}, arguments(set.values)...)
			if _, err := output(t, root(t), program(t, "HELM"), args...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestValues sets each value and checks the field that it changes.
func TestValues(t *testing.T) {
	t.Parallel()
	pod := []string{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", "0")
	tests := map[string]struct {
		values     []string
		kind, name string
		path       []string
		want       any
	}{
		"image":              {values: []string{"image=r:5/c@sha256:1"}, path: append(slices.Clone(container), "image"), want: "r:5/c@sha256:1"},
		"imagePullPolicy":    {values: []string{"imagePullPolicy=Always"}, path: append(slices.Clone(container), "imagePullPolicy"), want: "Always"},
		"imagePullSecrets":   {values: []string{"imagePullSecrets[0].name=s"}, path: append(slices.Clone(pod), "imagePullSecrets", "0", "name"), want: "s"},
		"replicas":           {values: []string{"replicas=3"}, path: []string{"spec", "replicas"}, want: float64(3)},
		"flags":              {values: []string{"flags.default-timeout=30m", "flags.kube-api-burst=200", "flags.namespaced-actions=true"}, path: append(slices.Clone(container), "args"), want: []any{"--default-timeout=30m", "--kube-api-burst=200", "--namespaced-actions=true"}},
		"resources":          {values: []string{"resources.limits.memory=1Gi"}, path: append(slices.Clone(container), "resources", "limits", "memory"), want: "1Gi"},
		"nodeSelector":       {values: []string{"nodeSelector.a=b"}, path: append(slices.Clone(pod), "nodeSelector", "a"), want: "b"},
		"tolerations":        {values: []string{"tolerations[0].key=k"}, path: append(slices.Clone(pod), "tolerations", "0", "key"), want: "k"},
		"affinity":           {values: []string{"affinity.nodeAffinity.a=b"}, path: append(slices.Clone(pod), "affinity", "nodeAffinity", "a"), want: "b"},
		"priorityClassName":  {values: []string{"priorityClassName=p"}, path: append(slices.Clone(pod), "priorityClassName"), want: "p"},
		"podAnnotations":     {values: []string{"podAnnotations.a=b"}, path: []string{"spec", "template", "metadata", "annotations", "a"}, want: "b"},
		"podLabels":          {values: []string{"podLabels.a=b"}, path: []string{"spec", "template", "metadata", "labels", "a"}, want: "b"},
		"volumes":            {values: []string{"volumes[0].name=ca"}, path: append(slices.Clone(pod), "volumes", "1", "name"), want: "ca"},
		"volumeMounts":       {values: []string{"volumeMounts[0].name=ca"}, path: append(slices.Clone(container), "volumeMounts", "1", "name"), want: "ca"},
		"account":            {values: []string{"serviceAccount.name=mine"}, path: append(slices.Clone(pod), "serviceAccountName"), want: "mine"},
		"account annotation": {values: []string{"serviceAccount.name=mine", "serviceAccount.annotations.a=b"}, kind: "ServiceAccount", name: "mine", path: []string{"metadata", "annotations", "a"}, want: "b"},
		"bound account":      {values: []string{"serviceAccount.name=mine"}, kind: "ClusterRoleBinding", name: "workflowexecution-controller", path: []string{"subjects", "0", "name"}, want: "mine"},
		"action image":       {values: []string{"actions.image=r:5/a:2"}, kind: "ClusterWorkflowTemplate", name: "wait", path: []string{"spec", "templates", "0", "container", "image"}, want: "r:5/a:2"},
		"Argo's user":        {values: []string{"policies.install=true", "policies.argo=system:serviceaccount:workflows:argo"}, kind: "ValidatingAdmissionPolicy", name: "workflowexecution-workflows", path: []string{"spec", "variables", "1", "expression"}, want: "['system:serviceaccount:workflows:argo']"},
		"kept definition":    {kind: "CustomResourceDefinition", name: "workflowexecutions.workflowexecution.kubernaut.io", path: []string{"metadata", "annotations", "helm.sh/resource-policy"}, want: "keep"},
		"definition":         {values: []string{"crd.keep=false"}, kind: "CustomResourceDefinition", name: "workflowexecutions.workflowexecution.kubernaut.io", path: []string{"metadata", "annotations", "helm.sh/resource-policy"}},
		"monitor's labels":   {values: []string{"monitoring.install=true", "monitoring.labels.release=prometheus"}, kind: "ServiceMonitor", name: "workflowexecution-controller", path: []string{"metadata", "labels", "release"}, want: "prometheus"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, object := "Deployment", "controller"
			if test.kind != "" {
				kind, object = test.kind, test.name
			}
			got := at(find(t, render(t, systemNamespace, arguments(test.values)...), kind, object).Object, test.path)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s of %s %s (-want +got):\n%s", strings.Join(test.path, "."), kind, object, diff)
			}
		})
	}
}

// TestOtherNamespace renders everything in another namespace, and expects no mention of that of config/default.
func TestOtherNamespace(t *testing.T) {
	t.Parallel()
	rendered, err := template(t, "elsewhere", arguments([]string{"monitoring.install=true", "policies.install=true", "networkPolicy.install=true", "replicas=2"})...)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(rendered, "\n") {
		if strings.Contains(line, systemNamespace) && !strings.Contains(line, "config/default") {
			t.Errorf("the chart contains the namespace %s: %s", systemNamespace, line)
		}
	}
}

// TestSchema sets values that the schema must reject.
func TestSchema(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"misspelt value":       "imag=x",
		"misspelt flag":        "flags.defaulttimeout=1m",
		"flag of the pod":      "flags.health-probe-bind-address=0",
		"negative replicas":    "replicas=-1",
		"string for a boolean": "actions.install=often",
		"no image":             "image=",
		"code as a user":       "policies.argo=x']+['y",
		"unknown policy":       "imagePullPolicy=Sometimes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := template(t, systemNamespace, "--set", value); err == nil || !strings.Contains(err.Error(), "schema") {
				t.Errorf("the schema does not reject %s: %v", value, err)
			}
		})
	}
}

// byKey maps objects by their keys, without the fields that only Helm sets.
func byKey(objects []*unstructured.Unstructured) map[string]map[string]any {
	result := map[string]map[string]any{}
	for _, object := range objects {
		labels := object.GetLabels()
		maps.DeleteFunc(labels, func(label, _ string) bool {
			return slices.Contains([]string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}, label)
		})
		object.SetLabels(labels)
		annotations := object.GetAnnotations()
		delete(annotations, "helm.sh/resource-policy")
		object.SetAnnotations(annotations)
		if object.GetKind() == "ConfigMap" && object.GetNamespace() == "" { // that of the dashboard, whose namespace kubectl -n sets
			object.SetNamespace(systemNamespace)
		}
		result[key(object)] = object.Object
	}
	return result
}

// arguments converts values to arguments of helm.
func arguments(values []string) []string {
	var args []string
	for _, value := range values {
		args = append(args, "--set", value)
	}
	return args
}

// at returns the value at a path of fields and indexes, or nil.
func at(value any, path []string) any {
	for _, word := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[word]
		case []any:
			index := int(word[0] - '0')
			if index >= len(v) {
				return nil
			}
			value = v[index]
		default:
			return nil
		}
	}
	return value
}
