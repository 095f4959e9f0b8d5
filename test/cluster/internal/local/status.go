package local

import (
	"context"
	"errors"
)

// Status describes the components of a cluster. Nothing is returned if it does not run.
func Status(ctx context.Context, parent, name string) ([]Component, error) {
	cluster := newLayout(parent, name)
	recorded, err := readRecord(cluster.record())
	if err != nil || len(recorded.Processes) == 0 {
		return nil, err
	}
	var table []Component
	for _, known := range recorded.Processes {
		component := Component{Name: known.Name, PID: known.PID, Version: known.Version, Healthy: recorded.isRunning(known)}
		component.Detail = "running, log " + cluster.log(known.Name)
		if !component.Healthy {
			component.Detail = "ended, log " + cluster.log(known.Name)
		}
		table = append(table, component)
	}
	if !recorded.Ready {
		table = append(table, describe("start", "", errors.New("it was not completed: up starts the cluster anew")))
	}
	client, err := newClient(cluster.credentials("admin"))
	if err != nil {
		return nil, err
	}
	return append(table,
		describe("API", "ready, network "+recorded.Subnet, checkServer(client)(ctx)),
		describe("nodes", recorded.praise(), checkNodes(client, recorded.Nodes)(ctx)),
	), nil
}

// praise is what can be said of nodes that are ready.
func (r record) praise() string {
	if r.Simulated {
		return Simulated
	}
	return "all are ready"
}

func describe(name, good string, err error) Component {
	if err != nil {
		return Component{Name: name, Detail: err.Error()}
	}
	return Component{Name: name, Healthy: true, Detail: good}
}

// IsSimulated is false for clusters whose pods run, and where there is none.
func IsSimulated(parent, name string) (bool, error) {
	recorded, err := readRecord(newLayout(parent, name).record())
	return recorded.Simulated, err
}

// Credentials returns the administrator's kubeconfig of a cluster, which exists while it runs.
func Credentials(parent, name string) string {
	return newLayout(parent, name).credentials("admin")
}
