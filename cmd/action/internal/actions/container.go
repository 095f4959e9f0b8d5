package actions

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// container is one container of a pod template and the name of the list that contains it.
type container struct {
	corev1.Container
	list string
}

// patch builds the patch that changes fields of this container.
func (c container) patch(fields map[string]any) map[string]any {
	fields["name"] = c.Name
	return templatePatch(map[string]any{"spec": map[string]any{c.list: []any{fields}}})
}

// field is the path of a field of the containers in this list.
func (c container) field(name string) []string {
	return []string{"spec", "template", "spec", c.list, name}
}

// annotationDefaultContainer names the container that kubectl selects by default.
const annotationDefaultContainer = "kubectl.kubernetes.io/default-container"

// containerParameter declares the container to change.
func containerParameter() contract.Parameter {
	return contract.Parameter{
		Name: "container", Check: contract.ContainerName,
		Description: "The container to change; if empty, the one of the annotation " + annotationDefaultContainer + ", or the only one.",
	}
}

// findContainer finds a container or init container by its name. An empty name selects the default container. If there are
// several and none is the default, a guess could change a sidecar.
func findContainer(template *corev1.PodTemplateSpec, name string) (container, error) {
	spec := template.Spec
	if name == "" {
		name = template.Annotations[annotationDefaultContainer]
	}
	if name == "" && len(spec.Containers) == 1 {
		return container{Container: spec.Containers[0], list: "containers"}, nil
	}
	var names []string
	for _, list := range []string{"containers", "initContainers"} {
		containers := spec.Containers
		if list == "initContainers" {
			containers = spec.InitContainers
		}
		for _, c := range containers {
			if c.Name == name {
				return container{Container: c, list: list}, nil
			}
			names = append(names, c.Name)
		}
	}
	if name == "" {
		return container{}, fmt.Errorf("has several containers (%s); set the parameter container", strings.Join(names, ", "))
	}
	return container{}, fmt.Errorf("has no container %q; it has %s", name, strings.Join(names, ", "))
}
