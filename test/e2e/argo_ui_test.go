package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// drawing is the picture of a Workflow's nodes in Argo's user interface (ui/src/workflows/components/workflow-dag).
type drawing struct {
	// labels are the displayed phases of the nodes, by their displayed names.
	labels map[string]string
	// arrows are pairs of displayed names, sorted.
	arrows []string
}

// draw visits the nodes as the user interface does: from the node with the Workflow's name along the children.
func draw(wf *wfv1.Workflow) drawing {
	d := drawing{labels: map[string]string{}}
	var visit func(id string)
	visit = func(id string) {
		node := wf.Status.Nodes[id]
		name := label(node)
		if _, drawn := d.labels[name]; drawn {
			return
		}
		d.labels[name] = string(node.Phase)
		if node.Type == wfv1.NodeTypeSuspend && node.Phase == wfv1.NodeRunning {
			d.labels[name] = "Suspended"
		}
		for _, child := range node.Children {
			d.arrows = append(d.arrows, name+"-"+label(wf.Status.Nodes[child]))
			visit(child)
		}
	}
	visit(wf.Name)
	slices.Sort(d.arrows)
	return d
}

func label(node wfv1.NodeStatus) string {
	if node.DisplayName != "" {
		return node.DisplayName
	}
	return node.Name
}

// expectTitles checks that the list of Workflows and the page of one Workflow show the execution.
func expectTitles(ctx SpecContext, server *argoServer, wf *wfv1.Workflow) {
	GinkgoHelper()
	listed := &wfv1.WorkflowList{}
	Eventually(func(g Gomega) { // the server answers from a cache
		server.read(ctx, "/api/v1/workflows/"+wf.Namespace+"?fields=items.metadata,items.status.phase", listed)
		g.Expect(listed.Items).To(ConsistOf(HaveField("Name", wf.Name)))
	}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
	for _, shown := range []*wfv1.Workflow{wf, &listed.Items[0]} {
		Expect(shown.Labels).To(HaveKeyWithValue(wfev1.LabelName, wf.Name))
		Expect(shown.Annotations).To(HaveKeyWithValue("workflows.argoproj.io/title", wf.Name+": remediate ConfigMap "+wf.Name))
		Expect(shown.Annotations).To(HaveKeyWithValue("workflows.argoproj.io/description", ContainSubstring("WorkflowExecution "+wf.Name)))
	}
}

// linksOf is the part of Argo's configuration with the links from its user interface to executions.
func linksOf(SpecContext) map[string]string {
	GinkgoHelper()
	objects := manifests("config/argo/links.yaml")
	Expect(objects).To(HaveLen(1))
	data, _, err := unstructured.NestedStringMap(objects[0].Object, "data")
	Expect(err).NotTo(HaveOccurred())
	return data
}

// placeholder matches the placeholders in a link (ui/src/shared/components/links.tsx).
var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// expectLinks checks that the server returns the links and that their placeholders have values.
func expectLinks(ctx SpecContext, server *argoServer, wf *wfv1.Workflow) {
	GinkgoHelper()
	info := struct {
		Links []struct{ Name, Scope, URL string }
	}{}
	server.read(ctx, "/api/v1/info", &info)
	values := map[string]string{
		"metadata.namespace": wf.Namespace, "metadata.name": wf.Name,
		"status.startedAtEpoch": "1", "status.finishedAtEpoch": "1", // every Workflow has these
	}
	for key, value := range wf.Labels {
		values["workflow.metadata.labels."+key] = value
	}
	var scopes []string
	for _, link := range info.Links {
		scopes = append(scopes, link.Scope)
		for _, found := range placeholder.FindAllString(link.URL, -1) {
			Expect(values).To(HaveKeyWithValue(strings.Trim(found, "${}"), Not(BeEmpty())), "in %s", link.URL)
		}
	}
	Expect(scopes).To(ContainElements("workflow", "pod"))
}

// expectPage checks that status.url is a page of the user interface.
func expectPage(ctx SpecContext, server *argoServer, wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	path, found := strings.CutPrefix(wfe.Status.URL, serverURL)
	Expect(found).To(BeTrue(), "%s", wfe.Status.URL)
	Expect(path).To(Equal("/workflows/" + wfe.Namespace + "/" + wfe.Status.WorkflowRef.Name))
	page, status := server.call(ctx, controllerKey, http.MethodGet, path, "")
	Expect(status).To(Equal(http.StatusOK))
	Expect(strings.ToLower(string(page))).To(HavePrefix("<!doctype html>"))
}
