package actions

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
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

// findContainer finds a container or init container by its name. An empty name selects the first container.
func findContainer(spec corev1.PodSpec, name string) (container, error) {
	if name == "" && len(spec.Containers) > 0 {
		return container{Container: spec.Containers[0], list: "containers"}, nil
	}
	var names []string
	for list, containers := range map[string][]corev1.Container{"containers": spec.Containers, "initContainers": spec.InitContainers} {
		for _, c := range containers {
			if c.Name == name {
				return container{Container: c, list: list}, nil
			}
		}
	}
	for _, c := range append(spec.Containers[:len(spec.Containers):len(spec.Containers)], spec.InitContainers...) {
		names = append(names, c.Name)
	}
	return container{}, fmt.Errorf("has no container %q; it has %s", name, strings.Join(names, ", "))
}
