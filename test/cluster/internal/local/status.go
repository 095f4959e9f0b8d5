package local

import (
	"context"
	"errors"
)

// Status describes the components of a cluster. It returns none if the cluster is not running.
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
		table = append(table, describe("start", "", errors.New("the start did not complete: up replaces the cluster")))
	}
	client, err := newClient(cluster.credentials("admin"))
	if err != nil {
		return nil, err
	}
	return append(table,
		describe("API", "ready, network "+recorded.Subnet, checkServer(client)(ctx)),
		describe("nodes", recorded.nodeDetail(), checkNodes(client, recorded.Nodes)(ctx)),
	), nil
}

// nodeDetail describes nodes that are ready.
func (r record) nodeDetail() string {
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

// Credentials returns the path of the kubeconfig of the administrator, which exists while the cluster runs.
func Credentials(parent, name string) string {
	return newLayout(parent, name).credentials("admin")
}
