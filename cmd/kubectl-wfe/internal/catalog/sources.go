package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/config/actions"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// BuiltIn returns the catalog of config/actions, which is embedded in the program.
func BuiltIn() (*Catalog, error) { return fromFiles(actions.Files) }

// FromFolder returns the catalog of the manifests in a folder and its subfolders. It ignores objects of other kinds.
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
	var found []translate.Template
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

// fileNamespace replaces the namespaces in files: a folder is the catalog of a single namespace.
const fileNamespace = "default"

// decode returns the templates with the action label.
func decode(content []byte) ([]translate.Template, error) {
	var found []translate.Template
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		var object json.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		t, err := decodeTemplate(object)
		if err != nil {
			return nil, err
		}
		if t != nil && t.GetLabels()[wfev1.LabelAction] != "" {
			found = append(found, t)
		}
	}
}

// decodeTemplate returns an object as a template, or nil for other kinds.
func decodeTemplate(object []byte) (translate.Template, error) {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(object, &meta); err != nil {
		return nil, err
	}
	switch meta.Kind {
	case "ClusterWorkflowTemplate":
		t := &wfv1.ClusterWorkflowTemplate{}
		return t, json.Unmarshal(object, t)
	case "WorkflowTemplate":
		t := &wfv1.WorkflowTemplate{}
		err := json.Unmarshal(object, t)
		t.Namespace = fileNamespace
		return t, err
	}
	return nil, nil
}

// Scope selects the sources of actions, like the controller's flags.
type Scope struct {
	// NamespacedActions adds the WorkflowTemplates of an execution's namespace.
	NamespacedActions bool
	// CatalogNamespace is the namespace whose WorkflowTemplates replace the ClusterWorkflowTemplates; empty for none.
	CatalogNamespace string
}

// FromCluster returns the catalog that the controller uses for executions in a namespace.
func FromCluster(ctx context.Context, reader client.Reader, namespace string, scope Scope) (*Catalog, error) {
	var found []translate.Template
	labelled := client.HasLabels{wfev1.LabelAction}
	var namespaces []string
	if scope.CatalogNamespace == "" {
		list := &wfv1.ClusterWorkflowTemplateList{}
		if err := reader.List(ctx, list, labelled); err != nil {
			return nil, fmt.Errorf("list the actions of the cluster: %w", err)
		}
		for i := range list.Items {
			found = append(found, &list.Items[i])
		}
	} else {
		namespaces = append(namespaces, scope.CatalogNamespace)
	}
	if scope.NamespacedActions && namespace != scope.CatalogNamespace {
		namespaces = append(namespaces, namespace)
	}
	for _, from := range namespaces {
		list := &wfv1.WorkflowTemplateList{}
		if err := reader.List(ctx, list, labelled, client.InNamespace(from)); err != nil {
			return nil, fmt.Errorf("list the actions of namespace %s: %w", from, err)
		}
		for i := range list.Items {
			found = append(found, &list.Items[i])
		}
	}
	return build(found), nil
}
