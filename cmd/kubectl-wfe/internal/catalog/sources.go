package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/config/actions"
)

// BuiltIn is the catalog of config/actions, as it was when the program was built.
func BuiltIn() (*Catalog, error) { return fromFiles(actions.Files) }

// FromFolder is the catalog of the manifests in a folder and those below it. Objects of other kinds are passed over.
func FromFolder(folder string) (*Catalog, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", folder)
	}
	return fromFiles(os.DirFS(folder))
}

func fromFiles(files fs.FS) (*Catalog, error) {
	var found []template
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isManifest(name) {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		templates, err := decode(content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found = append(found, templates...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return build(found), nil
}

func isManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func decode(content []byte) ([]template, error) {
	var found []template
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		var t template
		err := decoder.Decode(&t)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if t.Kind == clusterKind || t.Kind == namespacedKind {
			found = append(found, t)
		}
	}
}

// FromCluster is the cluster's catalog, as the controller sees it: with the templates of the namespace where the
// controller runs with --namespaced-actions.
func FromCluster(ctx context.Context, reader client.Reader, namespace string, namespaced bool) (*Catalog, error) {
	var found []template
	labelled := client.HasLabels{wfev1.LabelAction}
	list := &wfv1.ClusterWorkflowTemplateList{}
	if err := reader.List(ctx, list, labelled); err != nil {
		return nil, fmt.Errorf("list the actions of the cluster: %w", err)
	}
	for i := range list.Items {
		t := &list.Items[i]
		found = append(found, newTemplate(clusterKind, t.ObjectMeta, t.Spec))
	}
	if namespaced {
		list := &wfv1.WorkflowTemplateList{}
		if err := reader.List(ctx, list, labelled, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("list the actions of the namespace: %w", err)
		}
		for i := range list.Items {
			t := &list.Items[i]
			found = append(found, newTemplate(namespacedKind, t.ObjectMeta, t.Spec))
		}
	}
	return build(found), nil
}
