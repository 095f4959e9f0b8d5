package controllers_test

import (
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// eachTime replaces every timestamp in the strings of an object.
func eachTime(value any, replace func(time.Time) time.Time) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = eachTime(v[key], replace)
		}
	case []any:
		for i := range v {
			v[i] = eachTime(v[i], replace)
		}
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return replace(t).UTC().Format(time.RFC3339)
		}
	}
	return value
}

// setToNow moves all timestamps of the objects so that the newest one is now. No deadline passes that had not passed when they were
// stored.
func setToNow(objects []*unstructured.Unstructured) {
	var youngest time.Time
	for _, object := range objects {
		eachTime(object.Object, func(t time.Time) time.Time {
			if t.After(youngest) {
				youngest = t
			}
			return t
		})
	}
	later := time.Since(youngest)
	for _, object := range objects {
		eachTime(object.Object, func(t time.Time) time.Time { return t.Add(later) })
	}
}

// restore creates the objects of a release in the spec's namespace, with their new UIDs.
func restore(objects []*unstructured.Unstructured) []*wfev1.WorkflowExecution {
	GinkgoHelper()
	var executions []*wfev1.WorkflowExecution
	workflows := map[string]*wfv1.Workflow{}
	for _, object := range objects {
		object.SetNamespace(ns)
		if object.GetKind() == wfev1.Kind {
			wfe := &wfev1.WorkflowExecution{}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, wfe, true)).To(Succeed())
			executions = append(executions, wfe)
			continue
		}
		wf := &wfv1.Workflow{}
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, wf)).To(Succeed())
		workflows[wf.Name] = wf
	}
	for _, wfe := range executions {
		status := wfe.Status
		Expect(admin.Create(ctx, wfe)).To(Succeed())
		adopt := func(name string, ref **wfev1.WorkflowReference) {
			if wf := workflows[name]; wf != nil {
				rename(wf, strings.Replace(wf.Name, wfe.Name, "x", 1))
				wf.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(wfe, wfev1.GroupVersion.WithKind(wfev1.Kind))}
				Expect(admin.Create(ctx, wf)).To(Succeed())
				*ref = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
			}
		}
		adopt(wfe.Name, &status.WorkflowRef)
		adopt(wfe.Name+wfev1.RollbackSuffix, &status.RollbackRef)
		was := wfe.DeepCopy()
		wfe.Status = status
		Expect(admin.Status().Patch(ctx, wfe, client.MergeFrom(was))).To(Succeed())
	}
	return executions
}

// rename sets the IDs of the nodes to those of a Workflow of this name.
func rename(wf *wfv1.Workflow, from string) {
	nodes := wf.Status.Nodes
	wf.Status.Nodes = wfv1.Nodes{}
	for _, node := range nodes {
		node.Name = wf.Name + strings.TrimPrefix(node.Name, from)
		simulator.Put(wf, node)
	}
}

var _ = Describe("The objects of a release", func() {
	releases, err := filepath.Glob("../api/v1alpha1/testdata/*/objects.yaml")
	It("exist", func() {
		Expect(err).NotTo(HaveOccurred())
		Expect(releases).NotTo(BeEmpty())
	})
	for _, release := range releases {
		It("are taken to their end: "+filepath.Base(filepath.Dir(release)), func() {
			objects, err := testutil.ReadManifests(release)
			Expect(err).NotTo(HaveOccurred())
			setToNow(objects)
			var executions []*wfev1.WorkflowExecution
			withNewLeader(func() { executions = restore(objects) })
			simulated := runSimulatedArgo(func(wf *wfv1.Workflow, task string) simulator.Outcome {
				if wf.Labels[wfev1.LabelName] == "failure" && task == "c" {
					return breaks
				}
				return simulator.Outcome{Phase: wfv1.NodeSucceeded, Outputs: []string{"previous=2"}}
			})
			ends := map[string]string{}
			for _, wfe := range executions {
				ends[wfe.Name] = "Completed"
				if wfe.Name == "approved" {
					decide(wfe, true)
				}
			}
			ends["failure"] = "Failed ActionFailed RolledBack=True"
			for _, wfe := range executions {
				Eventually(func() string { return endOf(&wfev1.WorkflowExecution{Status: *statusOf(wfe)}, false) }).Should(Equal(ends[wfe.Name]), wfe.Name)
			}
			Expect(calls.creations()).To(BeEmpty(), "all Workflows exist already")
			Expect(simulated.Duplicates()).To(BeEmpty())
		})
	}
})
